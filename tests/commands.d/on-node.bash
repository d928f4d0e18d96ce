# On a node: the names of all programs that Atoll installs are the arguments.
. /root/checks.bash
without=() unknown=()
for program; do
	text=$(timeout 60 "$program" --help 2>/dev/null </dev/null) && [[ $text == *"$program"* ]] || without+=("$program")
	man -w "$program" >/dev/null 2>&1 || unknown+=("$program")
done
is '--help is answered by all on standard output' "${without[*]}" ''
is 'each has a manual page' "${unknown[*]}" ''

. /etc/profile
PS1='$ '
. /usr/share/bash-completion/atoll.bash
compopt() { :; }
complete_line() { # WORD... the last is completed
	COMP_WORDS=("$@") COMP_CWORD=$(($# - 1))
	_atoll
	echo "${COMPREPLY[*]}"
}
like 'a verb' "$(complete_line vmadm cre)" '^create( create-snapshot)?$'
is 'options of a verb' "$(complete_line imgadm list -)" '-H -j -o -s'
is 'a verb behind an option' "$(complete_line zoneadm -z x unin)" 'uninstall'
like 'a service' "$(complete_line svcadm restart network/ph)" '^network/physical:default$'
like 'a whole FMRI' "$(complete_line svcs svc:/network/ph)" '^svc:/network/physical:default$'
link=$(dladm show-phys -p -o link | head -1)
has 'a link' " $(complete_line dladm show-linkprop "${link:0:2}") " " ${link:-(there is none)} "
like "svcadm's verbs" "$(complete_line svcadm '')" '^enable .*clear.* milestone$'
like "dtrace's options" "$(complete_line dtrace -)" '-32 .*-n .*-x'
cd "$(mktemp -d)" && touch 'a$(touch bad).d' && is 'a file with a trap in its name' "$(complete_line dtrace -s a)" 'a$(touch bad).d'
is 'which was not sprung' "$(ls)" 'a$(touch bad).d'
echo end
