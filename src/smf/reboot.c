/*
 * reboot, halt, poweroff, shutdown: a word to PID 1.
 *
 *	reboot|halt|poweroff [-fnqlp]   -f and -q: do not stop services first
 *	shutdown [-y] [-g SECONDS] [-i LEVEL] [MESSAGE]   as illumos; -r -h -P, "now" as elsewhere
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#include "smf/init.h"

static const char *name;

static int
tell(const char *word, int now)
{
	struct sockaddr_un sa = {.sun_family = AF_UNIX, .sun_path = INIT_SOCKET};
	int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	char text[64];

	if (geteuid() != 0) {
		fprintf(stderr, "%s: permission denied\n", name);
		return 1;
	}
	snprintf(text, sizeof(text), "%s%s", now ? "now " : "", word);
	if (fd < 0 || sendto(fd, text, strlen(text), 0, (struct sockaddr *)&sa, sizeof(sa)) < 0) {
		fprintf(stderr, "%s: PID 1 does not answer on %s: %s\n", name, INIT_SOCKET,
			strerror(errno));
		return 1;
	}
	return 0;
}

static const char simple_args[] = "[-dflnpqy]";
static const char later_args[] =
	"[-y] [-g SECONDS] [-i 0|5|6] [-r|-h|-P] [now|+MINUTES] [MESSAGE...]";

static int
usage(const char *text)
{
	fprintf(stderr, "usage: %s %s\n", name, text);
	return 2;
}

static int
simple(int argc, char **argv)
{
	const char *word = name;
	int now = 0, c;

	while ((c = getopt(argc, argv, "dfnqlpy")) != -1) {
		switch (c) {
		case 'f':
		case 'q':
			now = 1;
			break;
		case 'p':
			word = "poweroff";
			break;
		case 'd':
		case 'l':
		case 'n':
		case 'y':
			break;
		default:
			return usage(simple_args);
		}
	}
	return tell(word, now);
}

/* "now", "+MINUTES"; -1 for what is neither. */
static long
delay_of(const char *text)
{
	char *end;
	long n;

	if (strcmp(text, "now") == 0)
		return 0;
	if (*text != '+')
		return -1;
	n = strtol(text + 1, &end, 10);
	return *end || end == text + 1 || n < 0 || n > 1440 ? -1 : n * 60;
}

static int
later(int argc, char **argv)
{
	const char *word = "halt";
	long delay = 60;
	struct timespec t = {0};
	char *end;
	int c;

	while ((c = getopt(argc, argv, "yg:i:rhP")) != -1) {
		switch (c) {
		case 'y':
			break;
		case 'g':
			delay = strtol(optarg, &end, 10);
			if (*end || delay < 0)
				return usage(later_args);
			break;
		case 'i':
			if (strcmp(optarg, "6") && strcmp(optarg, "5") && strcmp(optarg, "0"))
				return usage(later_args);
			word = *optarg == '6' ? "reboot" : *optarg == '5' ? "poweroff" : "halt";
			break;
		case 'r':
			word = "reboot";
			break;
		case 'h':
		case 'P':
			word = "poweroff";
			break;
		default:
			return usage(later_args);
		}
	}
	if (optind < argc && delay_of(argv[optind]) >= 0)
		delay = delay_of(argv[optind++]);
	if (delay > 0)
		fprintf(stderr, "shutdown: %s in %ld seconds; interrupt to cancel\n", word, delay);
	for (int i = optind; i < argc; i++)
		fprintf(stderr, "%s%s", argv[i], i + 1 < argc ? " " : "\n");
	t.tv_sec = delay; /* the grace period that was asked for */
	while (nanosleep(&t, &t) < 0 && errno == EINTR)
		;
	return tell(word, 0);
}

int
main(int argc, char **argv)
{
	name = strrchr(argv[0], '/');
	name = name ? name + 1 : argv[0];
	if (argc == 2 && strcmp(argv[1], "--help") == 0) {
		printf("usage: %s %s\n", name, strcmp(name, "shutdown") ? simple_args : later_args);
		return 0;
	}
	if (strcmp(name, "shutdown") == 0)
		return later(argc, argv);
	if (strcmp(name, "reboot") && strcmp(name, "halt") && strcmp(name, "poweroff"))
		return usage("(call it as reboot, halt, poweroff or shutdown)");
	return simple(argc, argv);
}
