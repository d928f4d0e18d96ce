/*
 * The floor under 500 services: posix_spawn() of the same program as often, each layer when the one
 * below has ended, and nothing else.  usage: smf_floor LAYERS WIDTH PROGRAM
 */
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>

extern char **environ;

int
main(int argc, char **argv)
{
	int layers = argc > 3 ? atoi(argv[1]) : 0, width = argc > 3 ? atoi(argv[2]) : 0;

	for (int l = 0; l < layers; l++) {
		for (int i = 0; i < width; i++) {
			pid_t pid;

			if (posix_spawn(&pid, argv[3], NULL, NULL, (char *[]){argv[3], NULL}, environ) != 0) {
				perror(argv[3]);
				return 1;
			}
		}
		for (int i = 0; i < width; i++)
			wait(NULL);
	}
	return layers > 0 ? 0 : 2;
}
