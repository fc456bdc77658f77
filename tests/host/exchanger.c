/* Exchanges directory entries as fast as the kernel lets it: exchanger SECONDS A B [A B ...]
 *
 * For each pair in turn renameat2(A, B, RENAME_EXCHANGE). At the end (time over, or SIGTERM) every pair that stands exchanged is put back, and
 * "TRIED DONE" is printed: how many exchanges were tried, and how many the kernel did. Pairs must not share a name: exchanges of shared names do not
 * commute, and could not be put back.
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

static volatile sig_atomic_t over = 0;

static void stop(int number) { (void)number; over = 1; }

static double now(void) {
    struct timespec at;
    clock_gettime(CLOCK_MONOTONIC, &at);
    return (double)at.tv_sec + (double)at.tv_nsec / 1e9;
}

int main(int count, char **words) {
    long tried = 0, done = 0;
    int pairs = (count - 2) / 2;
    char exchanged[64] = {0};
    struct timespec rest = {0, 0};
    if (count < 4 || pairs > 64) return 2;
    double end = now() + atof(words[1]);
    signal(SIGTERM, stop);
    unsigned seed = (unsigned)getpid();
    while (!over && now() < end) {
        for (int pair = 0; pair < pairs && !over; pair++) {
            tried++;
            if (syscall(SYS_renameat2, AT_FDCWD, words[2 + 2 * pair], AT_FDCWD, words[3 + 2 * pair], 2) == 0) {
                done++;
                exchanged[pair] ^= 1;
            }
        }
        /* Now and then a moment of rest, of another length each time: else one side never gets a word in. */
        if (rand_r(&seed) % 4096 == 0) {
            rest.tv_nsec = rand_r(&seed) % 2000000;
            nanosleep(&rest, NULL);
        }
    }
    for (int pair = 0; pair < pairs; pair++)
        if (exchanged[pair]) syscall(SYS_renameat2, AT_FDCWD, words[2 + 2 * pair], AT_FDCWD, words[3 + 2 * pair], 2);
    printf("%ld %ld\n", tried, done);
    return 0;
}
