# Runs in bench/vmm-boot's place, by busybox.  Prints TAP lines without numbers, which tests/guests.t counts.
# The file /b/part says which part.
pass() { echo "ok - $1"; }
fail() { echo "not ok - $1"; echo "$2" | tr -d '\033' | tr '\r' '\n' | sed 's/\[[0-9;]*[A-Za-z]//g' | tail -20 | sed 's/^/#   /'; }
is() { if [ "$2" = "$3" ]; then pass "$1"; else fail "$1" "got: $2
want: $3"; fi; }
has() { case $2 in *"$3"*) pass "$1" ;; *) fail "$1" "\"$3\" is not in: $2" ;; esac; }

# Its clock is the place's: what waits for nothing is over soon.
part=$(cat /b/part)
(sleep ${limit:-240}; fail "$part is through in ${limit:-240} s"; poweroff -f) &

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

# ask COMMAND...: runs it in the guest, by a channel of its console; what it said
ask() {
	local at=$(wc -c </tmp/replies) end=$(($(date +%s) + 60))
	kill -0 $guest 2>/dev/null && echo "{ $*
}; echo END \$?" >&3
	until tail -c +$((at + 1)) /tmp/replies | grep -q '^END'; do
		[ $(date +%s) -lt $end ] && kill -0 $guest || { echo "no answer: $(tail -c +$((at + 1)) /tmp/replies; cat /tmp/err)"; return 1; }
		sleep 0.1
	done
	tail -c +$((at + 1)) /tmp/replies | sed '/^END/d'
	tail -1 /tmp/replies | grep -q '^END 0'
}
sum() { busybox sha256sum | cut -c1-64; }
screen() { # FILE: what a viewer gets to see
	printf '\333\330\074\375\162\172\024\130' >/tmp/passwd # "password", as such programs keep it
	timeout 30 vncsnapshot -allowblank -passwd /tmp/passwd -quality 100 127.0.0.1:0 $1 2>&1
}

# What a guest and its host have to say to each other.
part_channels() {
	ip link set lo up
	mkdir -p /tmp/share/deep /tmp/tpm
	echo 'of the host' >/tmp/share/word
	ln -s /tmp/err /tmp/share/out
	busybox mkfifo /tmp/question
	swtpm socket --tpm2 --tpmstate dir=/tmp/tpm --server type=unixio,path=/tmp/tpm.sock --flags not-need-init,startup-clear &
	until [ -S /tmp/tpm.sock ]; do sleep 0.1; done
	start 320 -l kernel,/b/full.bz -l initrd,/b/full.gz -l cmdline,"$append do=channel" -l tpm,swtpm,/tmp/tpm.sock \
		-s 4,virtio-9p,share=/tmp/share -s 5,virtio-vsock,/tmp/vsock \
		-s 7,virtio-console,port0=/tmp/hvc,port1=org.atoll.test=/tmp/channel -s 30:0,fbuf,tcp=127.0.0.1:5900,password=password
	shows 60 'WAITING on /dev/vport' || { fail 'a Linux with a named channel' "$(cat /tmp/err; out)"; return; }
	pass 'a Linux with a named channel'
	: >/tmp/replies
	socat - UNIX-CONNECT:/tmp/channel </tmp/question >/tmp/replies &
	exec 3>/tmp/question
	is 'answers there' "$(ask 'echo $((6 * 7))')" 42
	is '... all of a long text' "$(ask 'seq 20000' | sum)" "$(seq 20000 | sum)"
	socat -u UNIX-CONNECT:/tmp/hvc OPEN:/tmp/hvc.out,creat &
	until ask 'echo by hvc0 >/dev/hvc0' && grep -q 'by hvc0' /tmp/hvc.out; do sleep 0.5; done
	pass '... and on its console'

	is 'TPM 2.0' "$(ask 'cat /sys/class/tpm/tpm0/tpm_version_major')" 2
	zeros=0000000000000000000000000000000000000000000000000000000000000000
	is '... a register' "$(ask 'cat /sys/class/tpm/tpm0/pcr-sha256/16')" $zeros
	is '... is extended' "$(ask "printf '\\200\\002\\0\\0\\0\\101\\0\\0\\001\\202\\0\\0\\0\\020\\0\\0\\0\\011\\100\\0\\0\\011\\0\\0\\0\\0\\0\\0\\0\\0\\001\\0\\013AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA' | dd of=/dev/tpm0 bs=65 count=1 2>/dev/null; cat /sys/class/tpm/tpm0/pcr-sha256/16")" \
		"$( (head -c 32 /dev/zero; printf AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA) | sum | tr a-f A-F)"

	is '9p is mounted' "$(ask 'mount -t 9p -o trans=virtio,version=9p2000.L,msize=65536 share /mnt && cat /mnt/word')" 'of the host'
	ask 'dd if=/dev/urandom of=/mnt/deep/big bs=64k count=32 2>/dev/null; echo of the guest >/mnt/new; mv /mnt/new /mnt/deep/renamed; for i in $(seq 200); do : >/mnt/deep/$i; done' >/dev/null
	is '... files made there are here' "$(cat /tmp/share/deep/renamed) $(ls /tmp/share/deep | wc -l)" 'of the guest 202'
	is '... what was written is' "$(ask 'sha256sum </mnt/deep/big')" "$(busybox sha256sum </tmp/share/deep/big)"
	is '... a directory is read' "$(ask 'ls /mnt/deep | wc -l; rm -r /mnt/deep; ls /mnt')" "202
out
word"
	has '... no way out of it' "$(ask 'cat /mnt/out 2>&1; cat /mnt/../mnt/../err 2>&1')" "can't open"

	dd if=/dev/urandom of=/tmp/share/data bs=64k count=48 2>/dev/null
	socat UNIX-LISTEN:/tmp/vsock_1234 'SYSTEM:busybox sha256sum' &
	until [ -S /tmp/vsock_1234 ]; do sleep 0.1; done
	is 'a connection to the host' "$(ask 'vsock connect 1234 </mnt/data')" "$(busybox sha256sum </tmp/share/data)"
	has '... to nobody is refused' "$(ask 'vsock connect 1235 </dev/null 2>&1')" 'reset by peer'
	ask 'echo of the guest | vsock listen 99 >/tmp/got &'
	until (echo 'CONNECT 99'; cat /tmp/share/data) | socat -t 30 - UNIX-CONNECT:/tmp/vsock >/tmp/got && grep -q OK /tmp/got; do sleep 0.2; done
	is '... from the host' "$(ask 'i=0; until [ $(wc -c </tmp/got) = 3145728 ] || [ $i = 300 ]; do i=$((i + 1)); sleep 0.1; done; sha256sum </tmp/got')" "$(busybox sha256sum </tmp/share/data)"
	has '... and back' "$(cat /tmp/got)" 'of the guest'

	is 'a frame buffer' "$(ask 'cat /sys/class/graphics/fb0/name /sys/class/graphics/fb0/virtual_size')" 'bochs-drmdrmfb
1024,768'
	ask "printf '\\033[?25l\\033[2J\\033[H' >/dev/tty0; seq 30 >/dev/tty0"
	screen /tmp/one.jpg >/tmp/viewer; screen /tmp/again.jpg >>/tmp/viewer
	ask 'seq 31 60 >/dev/tty0'
	screen /tmp/two.jpg >>/tmp/viewer
	[ $(wc -c </tmp/one.jpg) -gt 30000 ] && cmp -s /tmp/one.jpg /tmp/again.jpg && ! cmp -s /tmp/one.jpg /tmp/two.jpg &&
		pass 'a VNC viewer sees text, and another' || fail 'a VNC viewer sees text, and another' "$(ls -l /tmp/*.jpg; cat /tmp/viewer)"
	printf '\0\0\0\0\0\0\0\0' >/tmp/passwd
	vncsnapshot -quiet -passwd /tmp/passwd 127.0.0.1:0 /tmp/none.jpg >/tmp/refused 2>&1 && fail '... not without its password' "$(cat /tmp/refused)" || pass '... not without its password'
	bhyvectl screenshot guest /tmp/shot.png
	has 'a screenshot is a PNG' "$(head -c 8 /tmp/shot.png)" PNG
	finish_off
}

# A guest with a disk and something to remember moves between two places that only a cable joins; either end dies, or the
# cable, at all times of it: it lives on one side.
at() { local p=$1; shift; busybox nsenter -t $p -n "$@"; }
place() { # NAME: a network namespace; its process
	busybox unshare -n sleep 100000 &
	eval $1=$!
	while [ "$(readlink /proc/$!/ns/net)" = "$(readlink /proc/self/ns/net)" ]; do sleep 0.1; done
}
mover() { # PLACE NAME OPTION...: a bhyve there; its process is in $mover
	local where=$1 name=$2; shift 2
	: >/tmp/$name.log
	busybox nsenter -t $where -n bhyve -m 256 -o migrate.plain=true -l kernel,/b/l2.bz -l initrd,/b/guest.gz -l cmdline,"$append do=load" \
		-l com1,file,/tmp/$name.log -s 4,virtio-blk,/tmp/disk,shared -s 5,virtio-rnd "$@" $name 2>/tmp/$name.err &
	mover=$!
}
last() { grep -c TICK /tmp/$1.log; }
ticks() { # NAME: it counts on, from now
	local n=0 from=$(last $1)
	until [ $(last $1) -ge $((from + 3)) ]; do
		sleep 0.2; n=$((n + 1))
		[ $n -lt 200 ] && ! grep -q WRONG /tmp/$1.log || return 1
	done
}
from_where_it_was() { # what a printed goes on in b, be it in the middle of a line
	is '... from where it was' "$(cat /tmp/a.log /tmp/b.log | tr '\r' ' ' | grep -o 'TICK [0-9]* ' |
		busybox awk '$2 != ++n { print "after " n - 1 " comes " $2; exit }')" ''
}
gone() { # PID: it ends
	local n=0
	while kill -0 $1 2>/dev/null; do sleep 0.2; n=$((n + 1)); [ $n -lt 150 ] || return 1; done
}
sent() { bhyvectl migrate-status $1 2>/dev/null | sed -n 's/.*"bytes": *\([0-9]*\).*/\1/p'; }
half() { # NAME MIB: until so much of it was sent
	until [ "$(sent $1)" -ge $(($2 << 20)) ] 2>/dev/null; do kill -0 $mig 2>/dev/null || return; done
}
move() { # NAME ADDRESS: in the background; $mig
	bhyvectl migrate $1 tcp=$2 >/tmp/move.out 2>&1 &
	mig=$!
}
listening() { # PORT, anywhere
	until cat /proc/$left/net/tcp /proc/$right/net/tcp | grep -q ":$(printf %04X $1) 00000000:0000 0A"; do sleep 0.1; done
}
moved() { local status=0; wait $mig || status=$?; return $status; }
part_migrate() {
	place left; place right
	ip link add name v0 type veth
	ip link set v0 netns $left; ip link set veth0 netns $right
	at $left ip addr add 10.7.0.1/24 dev v0; at $left ip link set v0 up
	at $right ip addr add 10.7.0.2/24 dev veth0; at $right ip link set veth0 up
	dd if=/dev/zero of=/tmp/disk bs=1M count=1 2>/dev/null
	mover $left a; a=$mover
	ticks a && pass 'a guest counts' || { fail 'a guest counts' "$(cat /tmp/a.err /tmp/a.log)"; return; }
	for mib in 0 10 25 40 60; do
		mover $right b -r tcp=10.7.0.2:7000
		listening 7000
		move a 10.7.0.2:7000
		half a $mib
		kill -9 $mover
		moved && { fail "the other end is killed after $mib MiB" "$(cat /tmp/move.out)"; continue; }
		ticks a && pass "the other end is killed after $mib MiB: the guest is here" || fail "the other end is killed after $mib MiB: the guest is here" "$(cat /tmp/move.out /tmp/a.err; tail -3 /tmp/a.log)"
	done
	mover $right b -r tcp=10.7.0.2:7000
	listening 7000
	move a 10.7.0.2:7000
	half a 20
	at $left ip link set v0 down
	moved && fail 'the cable is cut' "$(cat /tmp/move.out)"
	ticks a && pass 'the cable is cut: the guest is here' || fail 'the cable is cut: the guest is here' "$(cat /tmp/move.out /tmp/a.err)"
	gone $mover && is '... and not there' "$(last b)" 0 || fail '... and not there' "it waits: $(cat /tmp/b.err)"
	at $left ip link set v0 up
	mover $right b -r tcp=10.7.0.2:7000
	listening 7000
	move a 10.7.0.2:7000
	half a 20
	bhyvectl migrate-cancel a
	moved && fail 'cancelled' "$(cat /tmp/move.out)" || has 'cancelled' "$(cat /tmp/move.out)" cancelled
	gone $mover; ticks a && pass '... the guest is here' || fail '... the guest is here' "$(cat /tmp/a.err)"

	mover $right b -r tcp=10.7.0.2:7000; b=$mover
	listening 7000
	from=$(last a)
	move a 10.7.0.2:7000
	moved && has 'it moves' "$(cat /tmp/move.out)" downtime || fail 'it moves' "$(cat /tmp/move.out /tmp/b.err)"
	gone $a; was=$(last a)
	ticks b && pass '... and counts on there' || fail '... and counts on there' "$(cat /tmp/b.err /tmp/b.log)"
	from_where_it_was
	for mib in 10 40; do
		mover $left c -r tcp=10.7.0.1:7000; c=$mover
		listening 7000
		move b 10.7.0.1:7000
		half b $mib
		kill -9 $b; moved
		gone $c && is "the sender is killed after $mib MiB: nothing runs there" "$(last c)" 0 || fail "the sender is killed after $mib MiB: nothing runs there" "$(cat /tmp/c.err)"
		[ $mib = 40 ] && break
		mover $right b; b=$mover
		ticks b
	done
	kill $left $right
}

# Disks and cards come and go while the guest works; it goes into a file and comes out of it, disk and all.
unplugged() { # SLOT: the guest has let go of it
	local n=0
	while bhyvectl devices a | grep -q "\"0:$1:0\""; do sleep 0.2; n=$((n + 1)); [ $n -lt 100 ] || return 1; done
}
part_save() {
	dd if=/dev/zero of=/tmp/disk bs=1M count=1 2>/dev/null
	dd if=/dev/zero of=/tmp/more bs=1M count=4 2>/dev/null
	bhyve -m 256 -o pci.hotplug=true -l kernel,/b/l2.bz -l initrd,/b/guest.gz -l cmdline,"$append do=load" -l com1,file,/tmp/a.log \
		-s 4,virtio-blk,/tmp/disk -s 5,virtio-rnd a 2>/tmp/a.err & a=$!
	ticks a && pass 'a guest counts on its disk' || { fail 'a guest counts on its disk' "$(cat /tmp/a.err /tmp/a.log)"; return; }
	for device in virtio-blk,/tmp/more virtio-net,user; do
		bhyvectl device-add a 7,$device >/tmp/plug.out 2>&1 && ticks a && has "${device%,*} comes" "$(bhyvectl devices a)" '"0:7:0"' || fail "${device%,*} comes" "$(cat /tmp/plug.out)"
		bhyvectl device-remove a 7 >/tmp/plug.out 2>&1 && unplugged 7 && ticks a && pass '... and goes' || fail '... and goes' "$(cat /tmp/plug.out)"
	done
	bhyvectl snapshot a /tmp/snap >/tmp/save.out 2>&1 && ticks a && pass 'a snapshot, after which it counts on' || fail 'a snapshot, after which it counts on' "$(cat /tmp/save.out)"
	bhyvectl suspend a /tmp/snap2 >/tmp/save.out 2>&1 && gone $a && pass 'it is suspended' || fail 'it is suspended' "$(cat /tmp/save.out)"
	bhyve -r /tmp/snap2 -o lpc.com1.path=file,/tmp/b.log b 2>/tmp/b.err & b=$!
	ticks b && pass 'it is resumed, and counts on' || fail 'it is resumed, and counts on' "$(cat /tmp/b.err /tmp/b.log)"
	from_where_it_was
	bhyvectl poweroff b; wait $b
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

part_$part
echo end
