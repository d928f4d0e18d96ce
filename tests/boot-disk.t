#!/bin/bash
# A node boots from its pool's disks: upgrade, rollback, fall-back from a broken image, UEFI, and the
# second disk when the first is gone.
. "$(dirname "$0")/lib.sh"
plan 18
dir=build/boot-disk
rm -rf $dir; mkdir -p $dir/disks $dir/a $dir/b $dir/c $dir/second
trap 'tools/node --stop disk >/dev/null 2>&1; rm -rf $dir' EXIT
a=$(cat build/image/stamp) b=20991231T000000Z c=20991231T111111Z

# B is A under another stamp; C's init restarts the machine at once, as an image that dies would.
extra() { tools/sysroot run bash -c "cd $1 && find overlay | LC_ALL=C sort | cpio -o -H newc --quiet -R 0:0"; }
cp build/image/{vmlinuz,microcode.img,boot_archive,stamp} $dir/a/
for i in b c; do
	mkdir -p $dir/x$i/overlay/etc $dir/x$i/overlay/usr/sbin
	echo "${!i}" >$dir/x$i/overlay/etc/platform
	[ $i = b ] || printf '#!/bin/bash\nmount -t proc proc /proc 2>/dev/null\necho b >/proc/sysrq-trigger\n' >$dir/x$i/overlay/usr/sbin/init
	[ $i = b ] || chmod 755 $dir/x$i/overlay/usr/sbin/init
	[ $i = c ] || rmdir $dir/x$i/overlay/usr/sbin $dir/x$i/overlay/usr
	cp build/image/{vmlinuz,microcode.img} $dir/$i/
	{ cat build/image/boot_archive; extra $dir/x$i; } >$dir/$i/boot_archive
	echo "${!i}" >$dir/$i/stamp
done
(cd $dir/b && sha256sum vmlinuz microcode.img boot_archive >SHA256SUMS)

on() { node --keep disk -- "$@" 2>&1; }
# Restarts the node and waits until another boot answers.
again() {
	local was now end=$((SECONDS + 1200))
	until was=$(on 'cat /proc/sys/kernel/random/boot_id'); do [ $SECONDS -lt $end ] || return 1; done
	on reboot >/dev/null
	while [ $SECONDS -lt $end ]; do
		now=$(timeout 60 tools/node --keep disk -- 'cat /proc/sys/kernel/random/boot_id; svcs -H -o state boot-success | grep -q online' 2>/dev/null)
		[ $? -ne 0 ] || [ "$now" = "$was" ] || return 0
		sleep 1
	done
	return 1
}
list='piadm list -p; cat /etc/platform'

out=$(node --keep disk --disk-dir $dir/disks --disks 2 --put $dir/a:/var/tmp/a -- '
	piadm bootable -e -i /var/tmp/a && piadm list -p; sync; poweroff' 2>&1)
like 'the image is installed and active' "$out" "^$a:zones/boot:active:yes:yes$"
for ((i = 0; i < 300; i++)); do tools/node --list | grep -q '^disk ' || break; sleep 1; done
tools/node --stop disk

out=$(node --keep disk --disk-dir $dir/disks --disks 2 --own --put $dir/b:/var/tmp/b --put $dir/c:/var/tmp/c -- "$list; cat /proc/cmdline; ls /usbkey/config" 2>&1)
like 'the node boots from its disks' "$out" 'boot=disk'
like 'with its configuration' "$out" '^/usbkey/config$'
like 'it is the active image' "$out" "^$a:zones/boot:active:yes:yes$"

out=$(on "piadm install /var/tmp/b; piadm install /var/tmp/b; echo \$?; piadm activate $b; piadm list -p; piadm remove $b; echo remove \$?")
like 'an upgrade: installed and chosen' "$out" "^$b:zones/boot:active:no:yes$"
like 'the old image is the previous one' "$out" "^$a:zones/boot:previous:yes:no$"
like 'the active image cannot be removed' "$out" '^remove 1$'
ok 'it restarts' again
like 'into the new image' "$(on "$list")" "^$b$"
on "piadm activate $a" >/dev/null
ok 'rollback: it restarts' again
like 'into the old image' "$(on "$list")" "^$a$"

on "piadm install /var/tmp/c && piadm activate $c" >/dev/null
ok 'an image that does not come up: the node comes back' again
out=$(on "$list; tail -3 /var/svc/log/*boot-success*")
like 'with the image before it' "$out" "^$a$"
like 'the broken one is marked' "$out" "^$c:zones/boot:failed:no:no$"
out=$(on 'mkdir -p /run/e; for d in vda2 vdb2; do mount -o ro /dev/$d /run/e; (cd /run/e && find . -type f -exec sha256sum {} + | sort | sha256sum); umount /run/e; done | sort -u | wc -l')
is 'both disks are alike' "$out" 1
# A kill while an image is being copied: what is there before is there after.
out=$(on 'piadm remove '$b'; (piadm install /var/tmp/b & p=$!; sleep 2; kill -9 $p); piadm list -p; piadm install /var/tmp/b; piadm list -p | grep -c .')
like 'an installation that was killed leaves nothing in the list, and can be repeated' "$out" '^3$'
on 'poweroff' >/dev/null
for ((i = 0; i < 300; i++)); do tools/node --list | grep -q '^disk ' || break; sleep 1; done
tools/node --stop disk

cp $dir/disks/d1.qcow2 $dir/second/d0.qcow2
out=$(node --keep disk --disk-dir $dir/second --disks 1 --own --uefi -- "$list; zpool list -H -o health zones; [ -d /sys/firmware/efi ] && echo uefi" 2>&1)
like 'the second disk alone boots, with UEFI' "$out" '^uefi$'
like 'on a degraded pool' "$out" '^DEGRADED$'
finish
