/* An RQ worker as far as its place in Redis goes, in plain C for another libc than ours:
 *
 *     small_worker HOST PORT NAME
 *
 * Finds HOST by its own libc's resolver, registers, waits for TERM, and signs off. */

#include <netdb.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

static int connected(const char *host, const char *port)
{
    /* Not AF_UNSPEC: a network's name server that says "no such name" where there is only no AAAA is taken at its word by musl. */
    struct addrinfo hints = {.ai_family = AF_INET, .ai_socktype = SOCK_STREAM}, *found;
    int why = getaddrinfo(host, port, &hints, &found);
    if (why != 0) {
        fprintf(stderr, "small_worker: looking up %s: %s\n", host, gai_strerror(why));
        return -1;
    }
    int file = -1;
    for (struct addrinfo *one = found; one != NULL && file < 0; one = one->ai_next) {
        file = socket(one->ai_family, one->ai_socktype, one->ai_protocol);
        if (file >= 0 && connect(file, one->ai_addr, one->ai_addrlen) != 0) {
            close(file);
            file = -1;
        }
    }
    freeaddrinfo(found);
    if (file < 0) perror("small_worker: connecting");
    return file;
}

/* Of so many inline commands; each of ours is answered by one line. */
static int answered(int file, const char *commands, int count)
{
    if (write(file, commands, strlen(commands)) != (ssize_t)strlen(commands)) return 0;
    while (count > 0) {
        char letter;
        if (read(file, &letter, 1) != 1) return 0;
        if (letter == '-') fprintf(stderr, "small_worker: Redis refuses\n");
        if (letter == '\n') count--;
    }
    return 1;
}

int main(int count, char **words)
{
    if (count != 4) return 2;
    sigset_t stop;
    sigemptyset(&stop);
    sigaddset(&stop, SIGTERM);
    sigprocmask(SIG_BLOCK, &stop, NULL);
    int file = connected(words[1], words[2]);
    if (file < 0) return 1;

    char now[32], host[64] = "", text[1024];
    time_t seconds = time(NULL);
    strftime(now, sizeof now, "%Y-%m-%dT%H:%M:%S.000000Z", gmtime(&seconds));
    gethostname(host, sizeof host - 1);
    const char *name = words[3];
    snprintf(text, sizeof text,
             "HSET rq:worker:%s birth %s last_heartbeat %s queues jobs pid %d hostname %s version 2.3.3 state idle\r\n"
             "SADD rq:workers rq:worker:%s\r\nSADD rq:workers:jobs rq:worker:%s\r\n",
             name, now, now, (int)getpid(), host, name, name);
    if (!answered(file, text, 3)) return 1;

    int number;
    sigwait(&stop, &number);
    snprintf(text, sizeof text, "SREM rq:workers rq:worker:%s\r\nSREM rq:workers:jobs rq:worker:%s\r\nHSET rq:worker:%s death %s\r\n",
             name, name, name, now);
    return answered(file, text, 3) ? 0 : 1;
}
