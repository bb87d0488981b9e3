/* Many different trees, many threads, deep calls. */
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static volatile int sink;

void f_zero(void) { sink++; }
void f_one(void) { sink += 2; }

/* A tree of its own for each number: its binary digits, each one level deeper than the one before. */
void f_code(int number, int bits) {
    if (number & 1) f_one(); else f_zero();
    if (bits > 1) f_code(number >> 1, bits - 1);
}

void f_deep(int n) { f_zero(); if (n > 1) f_deep(n - 1); f_one(); }

static pthread_barrier_t barrier;
void f_stays(void) { f_zero(); pthread_barrier_wait(&barrier); pthread_barrier_wait(&barrier); }
static void *stays(void *unused) { (void)unused; f_stays(); return NULL; }

int main(int count, char **arguments) {
    const char *what = arguments[1];
    int n = count > 2 ? atoi(arguments[2]) : 1;
    int from = count > 3 ? atoi(arguments[3]) : 0;
    if (!strcmp(what, "codes")) for (int i = from; i < from + n; i++) f_code(i, 15);
    if (!strcmp(what, "deep")) f_deep(n);
    if (!strcmp(what, "threads")) {
        pthread_attr_t attributes;
        pthread_attr_init(&attributes);
        pthread_attr_setstacksize(&attributes, 65536);
        pthread_barrier_init(&barrier, NULL, n + 1);
        pthread_t *threads = calloc(n, sizeof *threads);
        for (int i = 0; i < n; i++) {
            if (pthread_create(&threads[i], &attributes, stays, NULL)) { perror("pthread_create"); exit(2); }
        }
        pthread_barrier_wait(&barrier);
        /* All are inside their call: whoever reads this may look. */
        puts("inside");
        fflush(stdout);
        getchar();
        pthread_barrier_wait(&barrier);
        for (int i = 0; i < n; i++) pthread_join(threads[i], NULL);
    }
    f_one();
    return 0;
}
