# SPDX-License-Identifier: Apache-2.0
"""Empties a directory that the last child of a slot may have left in any shape: deeper than there are descriptors or stack, directories of mode 000, links
out of it. The walk holds one directory at a time and comes back by "..". Nothing moves meanwhile: every process of that child is dead."""
import os

OPEN = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC


def empty(path):
    """Raises OSError when something stays."""
    fd = os.open(path, OPEN)
    above = []  # (what is still to be removed there, the name of the directory that we are in)
    try:
        names = os.listdir(fd)
        while True:
            while names:
                name = names.pop()
                if remove(fd, name):
                    continue
                fd = step(fd, name)
                above.append((names, name))
                names = os.listdir(fd)
            if not above:
                return
            fd = step(fd, "..")
            names, name = above.pop()
            os.rmdir(name, dir_fd=fd)
    finally:
        os.close(fd)


def remove(fd, name):
    """False for a directory that is not empty, or that can't be looked into."""
    try:
        os.unlink(name, dir_fd=fd)
    except IsADirectoryError:
        try:
            os.rmdir(name, dir_fd=fd)
        except OSError:
            return False
    return True


def step(fd, name):
    """Into a directory, which is then one's own to write in; the one before is closed."""
    if name != "..":
        os.chmod(name, 0o700, dir_fd=fd)
    entered = os.open(name, OPEN, dir_fd=fd)
    os.close(fd)
    return entered
