/*
 * Probes of svc.startd, stable.  dtrace -h makes smf_probes.h of this file; dtrace's test
 * "stable_headers_are_up_to_date" says if it was forgotten (TEST_UPDATE=1 makes it).
 */
provider smf {
	/* An instance moved: states as svcs(1) calls them; aux is why it is where it is. */
	probe state__change(char *fmri, char *from, char *to, char *aux);
};
