# Names and helpers for methods in sh.

SMF_EXIT_OK=0
SMF_EXIT_NODAEMON=94
SMF_EXIT_ERR_FATAL=95
SMF_EXIT_ERR_CONFIG=96
SMF_EXIT_MON_DEGRADE=97
SMF_EXIT_MON_OFFLINE=98
SMF_EXIT_ERR_NOSMF=99
SMF_EXIT_ERR_PERM=100
SMF_EXIT_TEMP_DISABLE=101

# True if the method was started by SMF.
smf_present() {
	[ -r /etc/svc/volatile/plan ]
}

smf_clear_env() {
	unset SMF_FMRI SMF_METHOD SMF_RESTARTER SMF_ZONENAME
}

smf_zonename() {
	if [ -r /etc/zonename ]; then cat /etc/zonename; else echo global; fi
}

smf_is_globalzone() {
	[ "$(smf_zonename)" = global ]
}

smf_is_nonglobalzone() {
	! smf_is_globalzone
}

smf_console() {
	tee /dev/console
}

# smf_kill_contract CONTRACT SIGNAL [WAIT [TIMEOUT]]: to every process of this service.
smf_kill_contract() {
	svcs -p -H "$SMF_FMRI" | while read -r stime pid command; do
		case $pid in
		*[!0-9]*|'') continue ;;
		esac
		kill -"$2" "$pid" 2>/dev/null
	done
}

# smf_method_exit CODE NAME TEXT: leave with a reason for the log.
smf_method_exit() {
	echo "$2: $3"
	exit "$1"
}
