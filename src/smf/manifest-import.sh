#!/bin/sh
# Start method of svc:/system/manifest-import: what the operator keeps in /var and /opt.
#
# The administrator's changes to properties (/var/svc/admin.db) are laid over the image's services,
# then the operator's manifests and the site profile are taken in.  Only what changed is imported.

. /lib/svc/share/smf_include.sh

mkdir -p /var/svc/manifest /var/svc/profile /var/svc/log || exit $SMF_EXIT_ERR_FATAL
failed=0
svccfg attach /var/svc/admin.db || failed=1
for dir in /lib/svc/manifest /var/svc/manifest /opt/custom/smf; do
	[ -d "$dir" ] || continue
	svccfg import --early "$dir" || failed=1
done
if [ -f /var/svc/profile/site.xml ]; then
	svccfg apply /var/svc/profile/site.xml || failed=1
fi
# A bad manifest of the operator's must not keep the node from multi-user: it is told here.
[ $failed = 0 ] || echo "some of the operator's services could not be imported"
exit $SMF_EXIT_OK
