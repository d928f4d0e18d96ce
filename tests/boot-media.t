#!/bin/bash
# The node comes up from every medium, with BIOS and with UEFI, and needs the medium no more.
. "$(dirname "$0")/lib.sh"
plan 14
stamp=$(cat build/image/stamp)

look='cat /etc/platform; [ -d /sys/firmware/efi ] && echo uefi || echo bios'
boots() {	# NAME FIRMWARE OPTION...
	local name=$1 firmware=$2 out; shift 2
	out=$(node --timeout 900 "$@" -- "$look" 2>&1)
	like "$name comes up" "$out" "^$stamp$"
	like "$name with $firmware" "$out" "^$firmware$"
}

# Eject: read back every byte of the image afterwards; programs that were never touched start.
boots 'ISO as a CD' bios --keep eject --iso
printf 'eject -f cd\n' | tools/sysroot run socat -t 60 - unix-connect:build/node/eject/monitor >/dev/null
out=$(node --keep eject -- 'cat /platform/*.squashfs | sha256sum >/dev/null && qemu-img --version && blockdev --getsize64 /dev/sr0 2>&1' 2>&1)
like 'with the medium ejected programs still start' "$out" 'qemu-img version'
like 'the drive is empty' "$out" 'No medium|^0$'
node --stop eject

boots 'ISO as a CD' uefi --iso --uefi
boots 'ISO as a stick' bios --usb
boots 'disk image' uefi --disk --uefi
boots 'network' bios --pxe
boots 'network' uefi --pxe --uefi
finish
