/*
 * Probes of whoever moves a zone (zoneadmd, zoneadm, vmadm), stable.  zone_probes.h is made of
 * this file: see src/smf/smf_probes.d.
 */
provider zone {
	/* States as zoneadm list -v calls them. */
	probe state__change(char *zone, char *from, char *to);
};
