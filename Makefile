# faasd: `make` builds build/faasd and build/libfaasd.a; `make help` lists the rest.

## Settings
CC ?= gcc
BUILD ?= build
SANITIZE ?=
PREFIX ?= /usr/local
VERSION := $(shell cat VERSION)
Q := $(if $(V),,@)
say = $(if $(V),,@printf '  %-8s%s\n' '$(1)' '$(2)')

WARN := -Wall -Wextra -Werror -Wshadow -Wstrict-prototypes -Wmissing-prototypes -Wvla -Wformat=2 -Wconversion
HARDEN := -fstack-protector-strong -fstack-clash-protection -ftrivial-auto-var-init=zero
ifeq ($(SANITIZE),)
OPT ?= -O2
HARDEN += -D_FORTIFY_SOURCE=3
else
OPT ?= -O1 -fno-omit-frame-pointer
SANFLAGS := -fsanitize=$(SANITIZE) -fno-sanitize-recover=all
endif
# clang 14 knows zero-init only behind a flag that it promises to drop
ifneq ($(findstring clang,$(shell $(CC) --version 2>/dev/null | head -n1)),)
HARDEN := $(filter-out -ftrivial-auto-var-init=zero,$(HARDEN))
endif
CFLAGS_ALL := -std=gnu17 -D_GNU_SOURCE -g $(OPT) $(WARN) $(HARDEN) $(SANFLAGS) -fPIE -MMD -MP -Isrc -Iinclude -I$(BUILD)/gen $(CFLAGS)
LDFLAGS_ALL := -pie -Wl,-z,relro,-z,now -Wl,--as-needed $(SANFLAGS) $(LDFLAGS)
# SQLite and libsodium from their static archives: shared, their relocations and first pages cost both daemons 1.8 MB (docs/ARCHITECTURE.md)
LIBS := -lev -lcjson -lseccomp -lcap -Wl,-Bstatic -lsqlite3 -lsodium -Wl,-Bdynamic -lpthread -lm -ldl

## What is built
LAYERS := base os codec sandbox supervisor gateway resolver network lambda cmd
SRC := $(foreach l,$(LAYERS),$(wildcard src/$(l)/*.c))
OBJ := $(SRC:src/%.c=$(BUILD)/obj/%.o)
MAIN_OBJ := $(BUILD)/obj/main.o
LIB_OBJ := $(patsubst src/function/%.c,$(BUILD)/lib/%.o,$(wildcard src/function/*.c))
EXAMPLES := $(BUILD)/examples/hello
GEN := $(BUILD)/gen/init_image.h $(BUILD)/gen/runtime_files.h $(BUILD)/gen/version.h $(BUILD)/gen/starter_texts.h

.PHONY: all
all: $(BUILD)/faasd $(BUILD)/libfaasd.a $(EXAMPLES) ## the program, the function library, the native example

$(BUILD)/faasd: $(MAIN_OBJ) $(OBJ)
	$(call say,LINK,$@)
	$(Q)$(CC) $(LDFLAGS_ALL) -o $@ $^ $(LIBS)

$(BUILD)/obj/%.o: src/%.c Makefile | $(GEN)
	$(call say,CC,$<)
	$(Q)mkdir -p $(@D) && $(CC) $(CFLAGS_ALL) -c -o $@ $<

$(BUILD)/gen/version.h: VERSION
	$(Q)mkdir -p $(@D) && printf '#define FAASD_VERSION "%s"\n' '$(VERSION)' > $@

# init is freestanding: no libc, a few KiB, so that 2,000 sandboxes share one page-cache copy of it
INIT_FLAGS := -std=gnu17 -Os $(WARN) -ffreestanding -fno-stack-protector -fno-builtin -fno-asynchronous-unwind-tables -fcf-protection=none -static -nostdlib -fno-pie -Wl,-z,noexecstack,-z,noseparate-code,--build-id=none -Isrc
$(BUILD)/init: $(wildcard rootfs/init/*.c rootfs/init/*.h) src/sandbox/init_protocol.h Makefile
	$(call say,CC,$@)
	$(Q)mkdir -p $(@D) && $(CC) $(INIT_FLAGS) -o $@ $(filter %.c,$^) && strip -s $@

$(BUILD)/gen/init_image.h: $(BUILD)/init $(wildcard rootfs/etc/*) scripts/embed
	$(call say,EMBED,$@)
	$(Q)mkdir -p $(@D) && scripts/embed init_image $(BUILD)/init etc_passwd rootfs/etc/passwd etc_group rootfs/etc/group etc_hosts rootfs/etc/hosts etc_nsswitch rootfs/etc/nsswitch.conf etc_resolv rootfs/etc/resolv.conf > $@.new && mv $@.new $@

# Bootstraps, at /var/runtime in every sandbox. The directories are among the prerequisites: a file that goes is a change too.
$(BUILD)/gen/runtime_files.h: $(shell find rootfs/runtime -name __pycache__ -prune -o -print) scripts/embed scripts/compile-runtime
	$(call say,EMBED,$@)
	$(Q)mkdir -p $(@D) && scripts/compile-runtime rootfs/runtime $(BUILD)/runtime && scripts/embed --tree runtime_files $(BUILD)/runtime /var/runtime > $@.new && mv $@.new $@

# rootfs/starters/python/app.py is starter_python_app_py: what `faasd init` writes
STARTERS := $(wildcard rootfs/starters/*.json rootfs/starters/*/*)
starter_name = starter_$(subst .,_,$(subst /,_,$(1:rootfs/starters/%=%)))
$(BUILD)/gen/starter_texts.h: $(STARTERS) scripts/embed
	$(call say,EMBED,$@)
	$(Q)mkdir -p $(@D) && scripts/embed $(foreach f,$(STARTERS),$(call starter_name,$f) $f) > $@.new && mv $@.new $@

# the function library: plain C11 for any compiler, without the daemon's sanitizers
$(BUILD)/lib/%.o: src/function/%.c Makefile
	$(call say,CC,$<)
	$(Q)mkdir -p $(@D) && $(CC) -std=gnu17 -D_GNU_SOURCE -O2 -g $(WARN) -fPIC -MMD -MP -Iinclude -c -o $@ $<

$(BUILD)/libfaasd.a: $(LIB_OBJ)
	$(call say,AR,$@)
	$(Q)rm -f $@ && $(AR) rcs $@ $^

# Static and on musl: glibc asks the processor what it is some thirty times before main, and each asking is a trap in a virtual machine (0.24 ms)
MUSL_CC ?= musl-gcc
$(BUILD)/examples/hello: examples/hello/hello.c $(wildcard src/function/*.[ch] include/faasd/*.h)
	$(call say,CC,$@)
	$(Q)mkdir -p $(@D) && $(MUSL_CC) -std=gnu17 -D_GNU_SOURCE -O2 -Wall -Wextra -static -Iinclude -Isrc -o $@ $(filter %.c,$^)

## Using it
.PHONY: setup serve
setup: ## installs what building and serving need from Debian's packages
	$(Q)scripts/setup build

serve: ## installs what is missing, builds, serves the examples and prints what to try
	$(Q)scripts/setup build && $(MAKE) --no-print-directory all && scripts/serve-examples

## Tests
UNIT_SRC := $(wildcard tests/unit/*/*.c)
UNIT_BIN := $(UNIT_SRC:tests/unit/%.c=$(BUILD)/unit/%)
# what integration and escape tests deploy and start
PROGRAMS := $(patsubst tests/integration/programs/%.c,$(BUILD)/programs/%,$(wildcard tests/integration/programs/*.c))
PYTEST := /usr/bin/python3 -m pytest -q -p no:cacheprovider

# every unit test links the whole but main; the linker takes what it needs
$(BUILD)/libcore.a: $(OBJ)
	$(Q)rm -f $@ && $(AR) rcs $@ $^

$(BUILD)/unit/%: tests/unit/%.c $(BUILD)/libcore.a
	$(call say,CC,$@)
	$(Q)mkdir -p $(@D) && $(CC) $(CFLAGS_ALL) $(LDFLAGS_ALL) -o $@ $< $(BUILD)/libcore.a -lcmocka $(LIBS)

# the function library is no part of the daemon
$(BUILD)/unit/function/%: tests/unit/function/%.c $(BUILD)/libfaasd.a
	$(call say,CC,$@)
	$(Q)mkdir -p $(@D) && $(CC) $(CFLAGS_ALL) $(LDFLAGS_ALL) -o $@ $< $(BUILD)/libfaasd.a -lcmocka -lpthread

# prints what the program itself knows of its commands, options and keys: the parser of options is put aside, so no command does anything
$(BUILD)/programs/interface: tests/integration/programs/interface.c $(BUILD)/libcore.a
	$(call say,CC,$@)
	$(Q)mkdir -p $(@D) && $(CC) $(CFLAGS_ALL) $(LDFLAGS_ALL) -Wl,--wrap=options_parse,--wrap=verbs_run -o $@ $< $(BUILD)/libcore.a $(LIBS)

$(BUILD)/programs/curl_runtime: PROGRAM_LIBS := -lcurl
$(BUILD)/programs/%: tests/integration/programs/%.c $(BUILD)/libfaasd.a Makefile
	$(call say,CC,$@)
	$(Q)mkdir -p $(@D) && $(CC) -std=gnu17 -D_GNU_SOURCE -O1 $(WARN) -fPIE -pie -Iinclude -o $@ $< $(BUILD)/libfaasd.a -lpthread $(PROGRAM_LIBS)

# faasd with tests/faults/preload/inject.c between it and the C library: definitions of the program come before those of every library
$(BUILD)/faults/inject.o: tests/faults/preload/inject.c tests/faults/preload/calls.h tests/faults/preload/control.h Makefile
	$(call say,CC,$@)
	$(Q)mkdir -p $(@D) && $(CC) -std=gnu17 -D_GNU_SOURCE -O1 -g -fPIE -fno-builtin -Wall -Wextra -c -o $@ $<

$(BUILD)/faults/faasd: $(MAIN_OBJ) $(OBJ) $(BUILD)/faults/inject.o
	$(call say,LINK,$@)
	$(Q)$(CC) $(LDFLAGS_ALL) -o $@ $^ $(LIBS)

.PHONY: check check-build build-asan check-unit check-integration check-escape escape check-front check-faults faults check-guest check-guest-rootless check-power check-asan check-ric check-sdk lint fuzz coverage mutants soak kill-storm bench check-runtimes
check: ## installs what tests need, builds and runs every test
	$(Q)scripts/setup test && $(MAKE) --no-print-directory all && scripts/check

check-build: all $(UNIT_BIN) $(BUILD)/probe $(PROGRAMS) ## what the tests start, without running them

check-unit: $(UNIT_BIN) ## unit tests
	$(Q)set -e; for t in $(UNIT_BIN); do $$t; done

check-integration: all $(BUILD)/probe $(PROGRAMS) ## pytest against the real binary
	$(Q)FAASD_BUILD=$(abspath $(BUILD)) $(PYTEST) tests/integration $(INTEGRATION_OPTIONS)

check-escape: all $(BUILD)/probe $(PROGRAMS) ## attacks run inside a function
	$(Q)FAASD_BUILD=$(abspath $(BUILD)) $(PYTEST) -n 2 --dist loadfile tests/escape $(ESCAPE_OPTIONS)

# Front door and integration tests that are rows of the catalogue are told by their marks (tests/conftest.py).
escape: all $(BUILD)/probe $(BUILD)/faults/faasd $(PROGRAMS) ## the whole attack catalogue: what was tried, what was seen, as a table
	$(Q)FAASD_BUILD=$(abspath $(BUILD)) $(PYTEST) -n 2 --dist loadfile --rows --rows-save=$(abspath $(BUILD))/rows.json --rows-user=$(abspath $(BUILD))/guest/rows.json tests/escape tests/integration $(wildcard tests/front) tests/faults $(ESCAPE_OPTIONS)

check-front: all $(PROGRAMS) ## the front door: hostile requests, other parsers beside ours, slow and many clients
	$(Q)FAASD_BUILD=$(abspath $(BUILD)) $(PYTEST) tests/front $(FRONT_OPTIONS)

check-faults: all $(BUILD)/faults/faasd ## allocations and system calls of faasd itself fail: of each scene and role a sample
	$(Q)FAASD_BUILD=$(abspath $(BUILD)) $(PYTEST) tests/faults $(FAULTS_OPTIONS)

# Hours. One scene and role: FAULTS_OPTIONS="-k 'deploy and gateway'"; the second of five parts: FAULTS_PART=2/5; each place once with all of its errors: FAULTS=places
faults: all $(BUILD)/faults/faasd ## the same, all of them in turn, with every error that their manual pages name
	$(Q)FAULTS=$(or $(FAULTS),whole) FAASD_BUILD=$(abspath $(BUILD)) $(PYTEST) -rP tests/faults $(FAULTS_OPTIONS)

GUEST_UNITS := $(patsubst %,$(BUILD)/unit/%,$(shell cat tests/guest/units))
check-guest: all $(BUILD)/probe $(PROGRAMS) $(GUEST_UNITS) ## the same under pure cgroup v2, in a virtual machine
	$(Q)FAASD_BUILD=$(abspath $(BUILD)) tests/guest/run

check-guest-rootless: all $(BUILD)/probe $(PROGRAMS) $(GUEST_UNITS) ## there, the attacks on an ordinary user's daemon, as a table
	$(Q)FAASD_ROOTLESS=1 FAASD_BUILD=$(abspath $(BUILD)) tests/guest/run

RESETS ?= 50
check-power: all ## cuts a machine's power RESETS times (default 50) while it accepts asynchronous calls: none may be missing
	$(Q)FAASD_BUILD=$(abspath $(BUILD)) tests/power/run $(RESETS)

# Functions and the library they link are not built with sanitizers: what children of templates can't do is tested without. Nor are tests that drive
# interpreters and programs of others, hardly a line of faasd's, nor the one that preloads a clock, which would have to come behind the sanitizer's runtime,
# nor the one that looks at the flags of the build that is used.
# Of the front door what measures times is left out: a sanitizer's are its own.
NOT_SANITIZED := python_bootstrap node_bootstrap init install proxy clock hardening
# Whole files to each of two lanes: a module has one daemon.
build-asan: ## what check-asan runs, without running it
	$(Q)$(MAKE) --no-print-directory BUILD=build/asan SANITIZE=address,undefined check-build

check-asan: ## unit, integration, escape and front tests under ASan and UBSan
	$(Q)$(MAKE) --no-print-directory BUILD=build/asan SANITIZE=address,undefined check-unit check-integration check-escape check-front \
	    INTEGRATION_OPTIONS='-n 2 --dist loadfile $(NOT_SANITIZED:%=--ignore=tests/integration/test_%.py)' ESCAPE_OPTIONS=--ignore=tests/escape/test_template_children.py FRONT_OPTIONS=--ignore=tests/front/test_many_clients.py

check-runtimes: ## installs Go, Rust and a JVM, and runs programs of theirs, unmodified, under the default profile
	$(Q)scripts/setup runtimes && $(MAKE) --no-print-directory all
	$(Q)FAASD_BUILD=$(abspath $(BUILD)) $(PYTEST) tests/runtimes

check-ric: all ## Node's official runtime client against the Runtime API: RIC=DIR, where `npm install aws-lambda-ric` was run
	$(Q)FAASD_BUILD=$(abspath $(BUILD)) FAASD_RIC='$(RIC)' $(PYTEST) -rs tests/integration/test_ric.py

check-sdk: all ## AWS's client from npm against Lambda's API: SDK=DIR, where `npm install @aws-sdk/client-lambda` was run
	$(Q)FAASD_BUILD=$(abspath $(BUILD)) FAASD_SDK='$(abspath $(SDK))' $(PYTEST) -rs tests/integration/test_sdk_js.py

$(BUILD)/probe: $(wildcard tests/escape/*.c tests/escape/*.h) $(BUILD)/libfaasd.a Makefile
	$(call say,CC,$@)
	$(Q)$(CC) -std=gnu17 -D_GNU_SOURCE -O1 -Wall -Wextra -static -Iinclude -o $@ $(filter %.c %.a,$^) -lpthread

lint: ## format, clang-tidy, cppcheck, gcc -fanalyzer, layers and owners, lines that run with power
	$(Q)scripts/lint

fuzz: ## libFuzzer over the codecs: FUZZ_SECONDS each (default 600)
	$(Q)scripts/fuzz $(or $(FUZZ_SECONDS),600)

coverage: ## which lines and branches the tests run: a table, and HTML in build/coverage/html
	$(Q)scripts/setup test && scripts/coverage

mutants: ## small faults put into what reads strangers' bytes, one at a time: do the tests notice? MUTANTS: its options (--seed N, --count N, --modules NAME,...)
	$(Q)scripts/setup test && scripts/mutants $(MUTANTS)

soak: all $(BUILD)/probe ## calls of every kind, good and bad, SOAK (default --invocations 10000000; or --seconds S): nothing may be left, nothing may grow
	$(Q)FAASD_BUILD=$(abspath $(BUILD)) scripts/soak $(SOAK)

kill-storm: all $(BUILD)/probe $(PROGRAMS) ## kills processes of a daemon under load, STORM (default --kills 1000; --seed S): it heals, and nothing is left or lost
	$(Q)FAASD_BUILD=$(abspath $(BUILD)) scripts/kill-storm $(STORM)

bench: all ## measured numbers beside the floors
	$(Q)scripts/bench

## Installing
.PHONY: install uninstall purge clean help
install: all ## to PREFIX (default /usr/local) beneath DESTDIR; never over what isn't ours
	$(Q)scripts/install install '$(DESTDIR)' '$(PREFIX)' '$(BUILD)'

uninstall: ## removes what install wrote and nobody changed; functions and their data stay
	$(Q)scripts/install uninstall '$(DESTDIR)' '$(PREFIX)' '$(BUILD)'

purge: ## uninstall, and the functions and their data too
	$(Q)scripts/install purge '$(DESTDIR)' '$(PREFIX)' '$(BUILD)'

clean: ## removes build/
	$(Q)rm -rf $(BUILD)

help: ## this list
	$(Q)sed -n 's/^\([a-z-]*\):.*## \(.*\)/\1\t\2/p' $(MAKEFILE_LIST) | expand -t 20

-include $(shell find $(BUILD)/obj $(BUILD)/lib $(BUILD)/unit -name '*.d' 2>/dev/null)
