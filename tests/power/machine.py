# SPDX-License-Identifier: Apache-2.0
"""The machine whose power is cut: Debian's kernel in qemu, an initramfs made from the build, two disks (disk.py).

The disks are virtio's: qemu's NVMe says that it can force a write through (FUA), and drops the flag of each (hw/nvme/ctrl.c, 7.2 to 10), so that the last block of a commit of ext4's journal,
and with it a file's new length, is never certain, and what was fsynced is lost. Of virtio's disk the kernel knows that it has to flush.

Their sectors are as large as ext4's blocks: before Linux 6.10 ("jbd2: avoid mount failed when commit block is partial submitted") one that is torn in the last block of a commit is taken for
damage of the journal, and the file system is not mounted. One processor: emulated with two, one machine in a hundred stopped for good.
"""

import importlib.machinery
import importlib.util
import os
import pathlib
import platform
import re
import shutil
import socket
import subprocess
import sys
import threading
import time

from disk import SECTOR

HERE = pathlib.Path(__file__).resolve().parent
REPO = HERE.parents[1]
BUILD = pathlib.Path(os.environ.get("FAASD_BUILD", REPO / "build")).resolve()
BOOT_SECONDS = float(os.environ.get("POWER_BOOT_SECONDS", "120"))
STUCK_SECONDS = 30
# Debian's cloud kernel has ext4 built in, virtio in modules.
MODULES = ["virtio_pci", "virtio_net", "virtio_blk"]


def import_guest():
    loader = importlib.machinery.SourceFileLoader("guest", str(REPO / "tests/guest/run"))
    module = importlib.util.module_from_spec(importlib.util.spec_from_loader("guest", loader))
    loader.exec_module(module)
    return module


guest = import_guest()


def find_kernel():
    kernels = sorted(pathlib.Path("/boot").glob("vmlinuz-*-cloud-*"))
    if not kernels:
        sys.exit("power: no kernel: install Debian's linux-image-cloud package (scripts/setup test)")
    return kernels[-1], kernels[-1].name.removeprefix("vmlinuz-")


def find_modules(version):
    """Their files, in the order in which they load."""
    found = []
    for name in MODULES:
        lines = subprocess.run(["/usr/sbin/modprobe", "-S", version, "--show-depends", name], capture_output=True, text=True, check=True).stdout.splitlines()
        paths = [pathlib.Path(line.split()[1]) for line in lines if line.startswith("insmod ")]
        found += [path for path in paths if path not in found]
    return found


def make_initramfs(work, version):
    top = work / "initramfs.d"
    shutil.rmtree(top, ignore_errors=True)
    for name in ("usr/bin", "usr/sbin", "usr/lib", "usr/lib64", "proc", "sys", "dev", "tmp", "run", "etc", "data", "modules"):
        (top / name).mkdir(parents=True)
    for name in ("bin", "sbin", "lib", "lib64"):
        os.symlink(f"usr/{name}", top / name)
    for program in (shutil.which("busybox"), BUILD / "faasd"):
        shutil.copy2(program, top / "usr/bin" / pathlib.Path(program).name)
        guest.copy_linked(str(program), str(top))
    library = f"/usr/lib/{platform.machine()}-linux-gnu/libarchive.so.13"  # loaded at run time
    guest.copy(library, str(top))
    guest.copy_linked(library, str(top))
    for name in subprocess.run([top / "usr/bin/busybox", "--list"], capture_output=True, text=True, check=True).stdout.split():
        if not (top / "usr/bin" / name).exists():
            os.symlink("busybox", top / "usr/bin" / name)
    for name, text in guest.ETC.items():
        (top / "etc" / name).write_text(text)
    modules = find_modules(version)
    for module in modules:
        shutil.copy2(module, top / "modules" / module.name)
    (top / "modules/order").write_text("\n".join(m.name for m in modules))
    shutil.copy2(BUILD / "examples/hello", top / "hello")
    shutil.copy2(HERE / "inside", top / "inside")
    # as in tests/guest: pivot_root(2) refuses the initramfs itself
    new = work / "initramfs.top"
    shutil.rmtree(new, ignore_errors=True)
    (new / "bin").mkdir(parents=True)
    (new / "dev").mkdir()
    shutil.move(top, new / "new")
    shutil.copy2(shutil.which("busybox"), new / "bin/busybox")
    (new / "init").write_text("#!/bin/busybox sh\n/bin/busybox mount -o bind /new /new\ncd /new\n/bin/busybox mount -o move . /\nexec /bin/busybox chroot . /inside\n")
    os.chmod(new / "init", 0o755)
    names = subprocess.run(["find", "."], cwd=new, capture_output=True, check=True).stdout
    with open(work / "initramfs", "wb") as out:
        subprocess.run(["cpio", "-o", "-H", "newc", "--quiet", "-R", "0:0"], cwd=new, input=names, stdout=out, check=True)
    shutil.rmtree(new)


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


class Machine:
    def __init__(self, work, kernel, disks, port):
        """`disks`: the sockets of the one that it serves from and of the witness's."""
        binary, console = guest.MACHINES[platform.machine()]
        self.printed, self.ready, self.failed = [], threading.Event(), None
        self.witnessed = self.found = 0  # what the witness has on disk now, and what it found at the start
        command = [*binary, "-accel", "tcg", "-cpu", "max", "-smp", "1", "-m", "700", "-nographic", "-no-reboot",
                   "-nic", f"user,model=virtio-net-pci,hostfwd=tcp:127.0.0.1:{port}-10.0.2.15:8080",
                   "-kernel", str(kernel), "-initrd", str(work / "initramfs"),
                   "-append", f"console={console} quiet loglevel=3 panic=-1 mitigations=off init_on_alloc=0 no5lvl"]
        for number, path in enumerate(disks):
            command += ["-drive", f"if=none,id=disk{number},format=raw,cache=writeback,file=nbd:unix:{path}", "-device", f"virtio-blk-pci,drive=disk{number},serial=disk{number},logical_block_size={SECTOR},physical_block_size={SECTOR}"]
        self.process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, errors="replace")
        self.reader = threading.Thread(target=self._read, daemon=True)
        self.reader.start()

    def _read(self):
        for line in self.process.stdout:
            self.printed.append(line.rstrip("\r\n"))
            if found := re.search(r"POWER-WITNESS (found|wrote) (\d+)", line):
                self.witnessed = int(found.group(2))
                self.found = self.witnessed if found.group(1) == "found" else self.found
            if "POWER-READY" in line:
                self.ready.set()
            if "POWER-FAILED" in line:
                self.failed = line.strip()
                self.ready.set()
        self.ready.set()

    def wait_ready(self):
        if not self.ready.wait(BOOT_SECONDS) or self.failed or self.process.poll() is not None:
            sys.exit("power: the machine did not come up:\n" + "\n".join(self.printed[-40:]))

    def is_stuck(self):
        """All of it, not faasd alone: the witness, which waits for nobody, writes no more."""
        end, before = time.monotonic() + STUCK_SECONDS, self.witnessed
        while self.witnessed == before and time.monotonic() < end:
            time.sleep(0.1)
        return self.witnessed == before

    def end(self):
        """All that it printed has been read then."""
        self.process.kill()
        self.process.wait()
        self.reader.join()
