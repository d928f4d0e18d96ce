# The front door.  Everything is built inside the sysroot (tools/sysroot), so all a machine needs is
# Debian 12 or 13 with a few packages, which `make run` installs.

.PHONY: help run test unit system check image images bench format lint clean
.DEFAULT_GOAL := help

SYSROOT := tools/sysroot run

help:
	@echo 'make run      build what is missing, boot a node in QEMU, leave you at its console'
	@echo '              (Ctrl-A x leaves; the node keeps its disks in build/run)'
	@echo 'make check    the quick loop: build and unit tests under sanitizers (T=name for one)'
	@echo 'make test     unit tests, then system tests on booted nodes'
	@echo 'make system   the system tests only (T=name for one of tests/*.t)'
	@echo 'make image    ISO, disk image, netboot tree and tar in build/image, with a table of sizes'
	@echo 'make images   images of zones and virtual machines to run on a node'
	@echo 'make bench    measurements against peers, as one table of ratios (B=name for one)'
	@echo 'make format   clang-format of what changed;  make clean removes build/ (the cache stays)'

run:
	@tools/run

image: host
	@tools/image all

images: host
	@tools/images build

bench: host
	@bench/run $(B)

check: host
	@tools/check $(T)

unit: host
	@tools/check -t

system: host
	@tests/run $(T)

# One closing line for both.
test: host
	@rm -f build/tap.totals; mkdir -p build
	@tools/check -t -T build/tap.totals || true
	@tests/run -T build/tap.totals || true
	@tools/tap -S build/tap.totals

.PHONY: host
host:
	@tools/host

format:
	@$(SYSROOT) sh -c 'git diff --name-only --diff-filter=d main -- "*.c" "*.h" | xargs -r clang-format -i'

lint: host
	@$(SYSROOT) sh -c 'ls build/obj/build.ninja >/dev/null 2>&1 || meson setup build/obj >/dev/null; \
		cppcheck --quiet --enable=warning,portability --inline-suppr --error-exitcode=1 -Isrc src'
	@$(SYSROOT) sh -c 'git ls-files "*.1" "*.1m" "*.5" "*.7" "*.8" | xargs -r mandoc -T lint -W warning'

clean:
	rm -rf build
