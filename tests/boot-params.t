#!/bin/bash
# Boot parameters and what survives a reboot: rescue, names, passwords, factory reset.
. "$(dirname "$0")/lib.sh"
plan 16
dir=build/boot-params
rm -rf $dir
trap 'tools/node --stop params >/dev/null 2>&1; rm -rf $dir' EXIT

# boot PARAMETERS COMMAND: the same disks every time, exported properly at the end.
boot() {
	local i
	node --keep params --disk-dir $dir --timeout 900 --append "$1" -- "$2" 2>&1
	node --keep params -- poweroff >/dev/null 2>&1
	for ((i = 0; i < 300; i++)); do tools/node --list | grep -q '^params ' || break; sleep 1; done
	tools/node --stop params
}

out=$(boot 'hostname=fromloader' 'dtrace -A -qn "BEGIN { printf(\"armed\\n\"); } syscall:::entry { @[execname] = count(); }"; hostname; echo root:changed1 | chpasswd; touch /var/kept /opt/kept /etc/lost
	sum=$(sha256sum </etc/shadow); for i in $(seq 1200); do [ "$(sha256sum </usbkey/shadow)" = "$sum" ] && break; sleep 0.1; done
	zpool get -H -o value guid zones; ssh-keygen -lf /etc/ssh/ssh_host_ed25519_key.pub | cut -d" " -f2; grep ^root /etc/shadow')
like 'the configured name goes before hostname=' "$out" '^atoll$'
guid=$(grep -E '^[0-9]{10,}$' <<<"$out") key=$(grep ^SHA256 <<<"$out") hash=$(grep ^root: <<<"$out")

out=$(boot 'zpools=zones' 'zpool get -H -o value guid zones; ls /var/kept /opt/kept /etc/lost
	ssh-keygen -lf /etc/ssh/ssh_host_ed25519_key.pub | cut -d" " -f2; grep ^root /etc/shadow; zpool history -i zones | grep -c "zpool export"; svcs -x
	timeout 300 dtrace -ae; dtrace -a
	sdc-factoryreset -u; zfs get -H -o value smartdc:factoryreset zones/var; zfs set smartdc:factoryreset=yes zones/var')
like 'sdc-factoryreset -u takes it back' "$out" '^-$'
like 'zpools=zones: the same pool' "$out" "^$guid$"
like '/var and /opt are kept' "$(paste -sd' ' <<<"$out")" '/opt/kept.* ?/var/kept|/var/kept.*/opt/kept'
like 'what dtrace -A saved has traced the boot' "$(paste -sd' ' <<<"$out" | tr -s ' ')" 'armed .*(svc|sshd|udevd|bash)[^ ]* [0-9]+ .*(svc|sshd|udevd|bash)[^ ]* [0-9]+'
like 'and is claimed once' "$out" 'No anonymous tracing state'
like '/etc is not' "$out" 'cannot access .?/etc/lost'
is 'the host key is the same' "$(grep ^SHA256 <<<"$out")" "$key"
is 'a changed password is kept' "$(grep ^root: <<<"$out")" "$hash"

out=$(boot 'noimport=true BOOT_admin_ip=dhcp hostname=rescue' 'zpool list; hostname; ls /usbkey/config; bootparams | grep noimport
	svcs -H -o state,fmri | grep -v ^online; shell="[a]getty.*autologin root\|[l]ogin -- root\|^-bash"; for i in $(seq 300); do ps -eo args | grep -q "$shell" && break; sleep 1; done; ps -eo args | grep -c "$shell"')
like 'noimport=true imports no pool' "$out" 'no pools available'
like 'nor is it set up anew' "$out" "cannot access '/usbkey/config'"
like 'hostname= names it' "$out" '^rescue$'
like 'BOOT_admin_ip=dhcp gives it a network, bootparams shows it all' "$out" '^noimport=true$'
like 'a root shell on the console' "$out" '^[1-9][0-9]*$'

# It was asked for above, but the rescue boot looked at no pool.
out=$(boot '' 'zpool get -H -o value guid zones; ls /var/kept; hostname')
if grep -qE "^$guid$|^/var/kept$" <<<"$out"; then fail 'a factory reset makes a new pool' "$out"; else like 'a factory reset makes a new pool' "$out" '^atoll$'; fi
guid=$(grep -E '^[0-9]{10,}$' <<<"$out")
out=$(boot 'destroy_zpools=yes' 'zpool get -H -o value guid zones; hostname')
if grep -qE "^$guid$" <<<"$out"; then fail 'destroy_zpools=yes makes a new pool' "$out"; else like 'destroy_zpools=yes makes a new pool' "$out" '^atoll$'; fi
finish
