/* Calls of every kind. Functions that are followed begin with f_. The first argument says what to do, the second how often. */
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

static volatile int sink;
static jmp_buf env;

void f_leaf(void) { sink++; }
void f_other(void) { sink += 2; }
int f_answers(int value) { sink += value; return value; }

/* Loops: bodies of one to four calls. */
void f_loop(int n) { for (int i = 0; i < n; i++) f_leaf(); }
void f_inner(void) { f_leaf(); f_other(); f_leaf(); }
void f_body(int n) { for (int i = 0; i < n; i++) { f_leaf(); f_inner(); f_other(); f_answers(1); } }

/* Recursion. */
void f_down(int n) { if (n > 1) f_down(n - 1); sink++; }
void f_odd(int n);
void f_even(int n) { if (n > 0) f_odd(n - 1); sink++; }
void f_odd(int n) { if (n > 0) f_even(n - 1); sink++; }

/* Long jumps. */
void f_jumps(int deep) { f_leaf(); if (deep > 0) f_jumps(deep - 1); longjmp(env, 1); }
void f_catches(int deep) { if (!setjmp(env)) f_jumps(deep); f_other(); }
void f_jumps_from_root(void) { f_leaf(); longjmp(env, 1); }

/* A tree that is left by the thread's end. */
static void *ends(void *unused) { (void)unused; f_leaf(); return NULL; }
void f_ends_thread(void) { f_leaf(); pthread_exit(NULL); }
static void *ends_inside(void *unused) { (void)unused; f_ends_thread(); return NULL; }
void f_waits(int *ready) { f_leaf(); __atomic_store_n(ready, 1, __ATOMIC_SEQ_CST); for (;;) pause(); }
static int ready;
static void *waits(void *unused) { (void)unused; f_waits(&ready); return NULL; }

/* Fork within a call. */
void f_forks(void) {
    f_leaf();
    pid_t child = fork();
    if (child == 0) { f_other(); f_leaf(); _exit(0); }
    waitpid(child, NULL, 0);
    f_other();
}

/* A signal's handler calls, on a stack of its own. */
static void handler(int number) { (void)number; f_leaf(); }
void f_interrupted(void) { f_other(); raise(SIGUSR1); f_other(); }

int main(int count, char **arguments) {
    const char *what = count > 1 ? arguments[1] : "";
    int n = count > 2 ? atoi(arguments[2]) : 1;
    if (!strcmp(what, "loop")) f_loop(n);
    if (!strcmp(what, "body")) f_body(n);
    if (!strcmp(what, "down")) f_down(n);
    if (!strcmp(what, "even")) f_even(n);
    if (!strcmp(what, "catch")) for (int i = 0; i < n; i++) f_catches(3);
    if (!strcmp(what, "jump")) for (volatile int i = 0; i < n; i++) if (!setjmp(env)) f_jumps_from_root();
    if (!strcmp(what, "fork")) f_forks();
    if (!strcmp(what, "answers")) for (int i = 0; i < n; i++) f_answers(i % 2 ? -1 : i);
    if (!strcmp(what, "threads")) {
        for (int i = 0; i < n; i++) {
            pthread_t thread;
            pthread_create(&thread, NULL, i % 2 ? ends_inside : ends, NULL);
            pthread_join(thread, NULL);
        }
    }
    if (!strcmp(what, "killed")) {
        pid_t child = fork();
        if (child == 0) {
            pthread_t thread;
            pthread_create(&thread, NULL, waits, NULL);
            while (!__atomic_load_n(&ready, __ATOMIC_SEQ_CST)) usleep(100);
            kill(getpid(), SIGKILL);
        }
        waitpid(child, NULL, 0);
    }
    if (!strcmp(what, "signal")) {
        stack_t stack = {.ss_sp = malloc(65536), .ss_size = 65536};
        sigaltstack(&stack, NULL);
        struct sigaction action = {.sa_handler = handler, .sa_flags = SA_ONSTACK};
        sigaction(SIGUSR1, &action, NULL);
        for (int i = 0; i < n; i++) f_interrupted();
    }
    /* Whatever went before: a call from here on is a tree of its own. */
    f_inner();
    printf("%d\n", sink);
    return 0;
}
