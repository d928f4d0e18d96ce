# Runs in bench/vmm-boot's place, by busybox.  Prints TAP lines without numbers, which tests/guests.t counts.
# The file /b/part says which part.
pass() { echo "ok - $1"; }
fail() { echo "not ok - $1"; echo "$2" | tr -d '\033' | tr '\r' '\n' | sed 's/\[[0-9;]*[A-Za-z]//g' | tail -20 | sed 's/^/#   /'; }
is() { if [ "$2" = "$3" ]; then pass "$1"; else fail "$1" "got: $2
want: $3"; fi; }
has() { case $2 in *"$3"*) pass "$1" ;; *) fail "$1" "\"$3\" is not in: $2" ;; esac; }

append="console=ttyS0 quiet panic=-1"
out() { cat /tmp/out 2>/dev/null; }
# start MEMORY OPTION...: a guest whose console is /tmp/out, in the background
start() {
	local memory=$1; shift
	rm -f /tmp/out; : >/tmp/out
	bhyve -m $memory -l com1,file,/tmp/out "$@" guest 2>/tmp/err &
	guest=$!
}
# start_linux DO OPTION...: the guest's own kernel, started directly
start_linux() {
	local todo=$1; shift
	start 256 -l kernel,/b/l2.bz -l initrd,/b/guest.gz -l cmdline,"$append do=$todo" "$@"
}
# shows SECONDS TEXT: true as soon as the console shows it; false if it does not, or the guest ended
shows() {
	local end=$(($(date +%s) + $1))
	until grep -qF "$2" /tmp/out; do
		[ $(date +%s) -lt $end ] && kill -0 $guest 2>/dev/null || { grep -qF "$2" /tmp/out; return; }
		sleep 0.2
	done
}
# ends: waits for the guest; its exit status, or `late`
ends() {
	local end=$(($(date +%s) + 30)) status=0
	while kill -0 $guest 2>/dev/null; do
		[ $(date +%s) -lt $end ] || { kill -9 $guest; wait $guest; echo late >/tmp/status; return; }
		sleep 0.1
	done
	wait $guest || status=$?
	echo $status >/tmp/status
}
expect() { # NAME SECONDS TEXT: the console shows it
	if shows $2 "$3"; then pass "$1"; else fail "$1" "no \"$3\" in $2 s: $(cat /tmp/err; out)"; fi
}
expect_end() { ends; is "$1" "$(cat /tmp/status)" "$2"; }
finish_off() { kill -9 $guest 2>/dev/null; wait $guest 2>/dev/null; }
firmware() { cp /b/OVMF_VARS_4M.fd /tmp/vars; echo "-l bootrom,/b/OVMF_CODE_4M.fd,/tmp/vars -s 31,lpc"; }

# Started directly: entries, ends.
part_direct() {
	start_linux cpus
	expect 'a processor' 40 'CPUS 1'
	expect_end '... and off' 1
	start_linux cpus -o memory.thp=true
	expect 'with huge pages' 40 'CPUS 1'
	ends
	start_linux reboot
	expect_end 'a reboot is exit status 0' 0
	start_linux wait
	expect 'a guest that waits' 40 WAITING
	bhyvectl reset guest
	expect_end '... is reset from outside' 0
	start_linux wait
	shows 40 WAITING
	bhyvectl poweroff guest
	expect_end '... and switched off' 1
	start_linux button
	shows 40 WAITING && bhyvectl stop guest
	expect 'the power button is a key of the guest' 30 'KEY     1   116'
	expect_end '... and it goes off' 1
}

part_vcpus() {
	for n in 2 4; do
		start_linux cpus -c $n
		expect "$n processors" 120 "CPUS $n"
		expect_end '... and off' 1
	done
}

part_devices() {
	for n in 0 1 2 3 4 5 6 7; do
		rm -f /tmp/d$n
		dd if=/dev/zero of=/tmp/d$n bs=1M count=0 seek=$((8 + n)) 2>/dev/null
		printf 'number-%d' $n | dd of=/tmp/d$n conv=notrunc 2>/dev/null
	done
	start_linux disks:8 -s 4:0,virtio-blk,/tmp/d0 -s 4:1,virtio-blk,/tmp/d1 -s 4:2,nvme,/tmp/d2 -s 4:3,nvme,/tmp/d3 \
		-s 4:4,ahci-hd,/tmp/d4 -s 4:5,ahci-hd,/tmp/d5 -s 4:6,virtio-scsi,target=/tmp/d6 -s 4:7,virtio-blk,/tmp/d7
	shows 60 DONE
	for n in 0 1 2 3 4 5 6 7; do
		has "disk $n of 8 is read and written" "$(grep DISK /tmp/out)" "DISK number-$n $(((8 + n) * 2048)) number-$n"
	done
	expect_end '... and off' 1
	start_linux nics -s 6:0,virtio-net,user -s 6:1,virtio-net,user
	expect 'the first of two NICs answers' 60 'NIC 0 OK'
	expect '... and the second' 30 'NIC 1 OK'
	ends
}

# OVMF, unmodified.
part_uefi_shell() {
	start 256 $(firmware)
	expect "OVMF's shell" 60 'Shell>'
	finish_off
	cmp -s /tmp/vars /b/OVMF_VARS_4M.fd && fail 'its variables are kept' 'the file did not change' || pass 'its variables are kept'
}

boots() { # NAME ROOT OPTION...
	local name=$1 root=$2; shift 2
	start 320 $(firmware) "$@"
	expect "$name" 120 "ROOT $root"
	has '... the whole system' "$(out)" 'the word'
	has '... which knows of its firmware' "$(out)" EFI
	expect_end '... and off' 1
}
part_uefi_cd() { boots 'UEFI from a CD' sr -s 3:0,ahci-cd,/b/guest.iso; }
part_uefi_nvme() { boots 'UEFI from NVMe' nvme -s 4:0,nvme,/b/guest.iso; }
part_uefi_ahci() { boots 'UEFI from an AHCI disk' sda -s 4:0,ahci-hd,/b/guest.iso; }

# SeaBIOS, unmodified, without a screen: what it and boot loaders show comes over the serial port.
bios() { start 256 -l bootrom,/b/bios-256k.bin -s 31,lpc "$@"; }
bios_boots() { # NAME ROOT OPTION...
	local name=$1 root=$2; shift 2
	bios "$@"
	expect "$name" 120 "ROOT $root"
	has '... the whole system' "$(out)" 'the word'
	expect_end '... and off' 1
}
part_bios_cd() { bios_boots 'BIOS from a CD' sr -s 3:0,ahci-cd,/b/guest.iso; }
part_bios_disks() {
	dd if=/dev/zero of=/tmp/empty bs=1M count=4 2>/dev/null
	bios_boots 'BIOS from the second of two disks' vda -s 4:0,ahci-hd,/tmp/empty -s 4:1,virtio-blk,/b/guest.iso,bootindex=0
	bios_boots 'BIOS from NVMe' nvme -s 4:0,nvme,/b/guest.iso
}

# Not Linux.
part_ipxe() {
	bios -s 3:0,ahci-cd,/b/ipxe.iso -s 6:0,virtio-net,user
	expect 'iPXE' 60 'iPXE initialising devices'
	expect '... which has an address through its own driver' 60 'net0: 10.0.2.15/255.255.255.0 gw 10.0.2.2'
	finish_off
}
part_memtest() {
	bios -m 32 -s 3:0,ahci-cd,/b/memtest.iso
	expect 'Memtest86+' 60 'Memtest86+ v'
	expect '... which tests' 60 'Testing'
	finish_off
}
part_uefi_ipxe() {
	start 256 $(firmware) -s 3:0,ahci-cd,/b/ipxe.iso -s 6:0,virtio-net,user
	expect 'iPXE by UEFI' 90 'iPXE initialising devices'
	finish_off
}

part_$(cat /b/part)
echo end
