# bench/nested.sh: what nested places and their guests are made of.
# $1: directory of a busybox system; $2: its /init
busybox_root() {
	mkdir -p "$1"/{bin,proc,sys,dev,tmp,mnt,var/cache}
	cp /bin/busybox "$1/bin/"
	local a
	for a in sh mount umount insmod echo cat ls poweroff reboot sleep dmesg grep dd sync mkdir ip \
		ifconfig ping nc cut head tr readlink cmp tail wc sed kill ps mknod modprobe date timeout grep od md5sum true seq test; do
		ln -sf busybox "$1/bin/$a"
	done
	cp "$2" "$1/init"
	chmod 755 "$1/init"
	mknod -m 600 "$1/dev/console" c 5 1 2>/dev/null || true
}

# Copies modules and what they need, decompressed, in insertion order into lib/order.
modules() { # TREE DEST NAME...
	local tree=$1 dest=$2 m f list=()
	shift 2
	mkdir -p "$dest/lib/m"
	for m in "$@"; do
		for f in $(modinfo_order "$tree" "$m"); do
			[ -e "$dest/lib/m/$(basename "${f%.xz}")" ] && continue
			case $f in
			*.xz) xz -dc "$tree/$f" >"$dest/lib/m/$(basename "${f%.xz}")" ;;
			*) cp "$tree/$f" "$dest/lib/m/" ;;
			esac
			echo "$(basename "${f%.xz}")" >>"$dest/lib/order"
		done
	done
}
modinfo_order() { # dependencies first
	local line
	line=$(grep -E "/${2}\.ko(\.xz)?:" "$1/modules.dep" | head -1) || return 0
	echo "${line#*:}" | tr ' ' '\n' | tac
	echo "${line%%:*}"
}

# libraries DIR PROGRAM...: what the programs are linked with, into a system of their own
libraries() {
	local dir=$1 f
	shift
	mkdir -p "$dir"/{lib/x86_64-linux-gnu,lib64}
	{ ldd "$@" 2>/dev/null | grep -o '/[^ :]*\.so[^ :]*' || true; } | sort -u | while read -r f; do cp -Lf "$f" "$dir/lib/x86_64-linux-gnu/"; done
	ln -sf ../lib/x86_64-linux-gnu/ld-linux-x86-64.so.2 "$dir/lib64/"
}
