/* smtpload HOST PORT TEMPLATE MESSAGES SESSIONS PER_CONNECTION RECIPIENT
 *
 * A closed-loop SMTP load: SESSIONS threads send MESSAGES messages in all, PER_CONNECTION on each connection, one command
 * at a time. TEMPLATE is a message with CRLF line ends and dot-stuffing; each byte 0x01 in it becomes a random base64
 * character, so that every message is another one. Prints one JSON object: messages answered 250, others, seconds from the
 * first connection to the last reply, and latencies in milliseconds from MAIL to the reply to the end of data.
 *
 * cc -O2 -pthread -o smtpload smtpload.c
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <netinet/tcp.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

enum { REPLY_SIZE = 8192, TIMEOUT_SECONDS = 120 };

static const char BASE64[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

static struct {
    struct sockaddr_in server;
    char *template;
    size_t template_size;
    size_t *marks; /* where template holds 0x01 */
    size_t mark_count;
    int per_connection;
    const char *recipient;
} plan;

static atomic_long left, accepted, failed;
static double *latencies;
static char first_failure[256];
static pthread_mutex_t failure_lock = PTHREAD_MUTEX_INITIALIZER;

struct session {
    int socket;
    uint64_t random;
    char *message;
    char reply[REPLY_SIZE];
};

static double now(void) {
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return (double)time.tv_sec + (double)time.tv_nsec / 1e9;
}

static char random_character(struct session *session) {
    uint64_t x = session->random;
    x ^= x << 13;
    x ^= x >> 7;
    x ^= x << 17;
    session->random = x;
    return BASE64[x >> 58];
}

static int send_all(int socket, const char *data, size_t size) {
    while (size > 0) {
        ssize_t sent = send(socket, data, size, MSG_NOSIGNAL);
        if (sent <= 0) return -1;
        data += sent;
        size -= (size_t)sent;
    }
    return 0;
}

/* The code of the next reply, all its lines read; -1 when the connection ends. Replies never overlap: no pipelining. */
static int read_reply(struct session *session) {
    size_t size = 0;
    for (;;) {
        ssize_t got = recv(session->socket, session->reply + size, REPLY_SIZE - 1 - size, 0);
        if (got <= 0) return -1;
        size += (size_t)got;
        session->reply[size] = 0;
        if (size < 5 || memcmp(session->reply + size - 2, "\r\n", 2) != 0) continue;
        char *last = session->reply + size - 2;
        while (last > session->reply && last[-1] != '\n') last--;
        if (last[3] == ' ') return atoi(last);
        if (size >= REPLY_SIZE - 1) return -1;
    }
}

static int command(struct session *session, const char *line) {
    return send_all(session->socket, line, strlen(line)) ? -1 : read_reply(session);
}

static void note_failure(struct session *session) {
    pthread_mutex_lock(&failure_lock);
    if (!first_failure[0]) {
        snprintf(first_failure, sizeof first_failure, "%.200s", session->reply[0] ? session->reply : "no reply");
        first_failure[strcspn(first_failure, "\r\n\"\\")] = 0;
    }
    pthread_mutex_unlock(&failure_lock);
    atomic_fetch_add(&failed, 1);
}

static int open_connection(struct session *session) {
    int one = 1;
    struct timeval limit = {TIMEOUT_SECONDS, 0};
    session->reply[0] = 0;
    session->socket = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    setsockopt(session->socket, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    setsockopt(session->socket, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit);
    if (connect(session->socket, (struct sockaddr *)&plan.server, sizeof plan.server)) return -1;
    return read_reply(session) == 220 && command(session, "EHLO load.example\r\n") == 250 ? 0 : -1;
}

static int send_message(struct session *session) {
    char rcpt[512];
    for (size_t n = 0; n < plan.mark_count; n++) session->message[plan.marks[n]] = random_character(session);
    snprintf(rcpt, sizeof rcpt, "RCPT TO:<%s>\r\n", plan.recipient);
    double began = now();
    session->reply[0] = 0;
    if (command(session, "MAIL FROM:<load@sender.example>\r\n") != 250) return -1;
    if (command(session, rcpt) != 250) return -1;
    if (command(session, "DATA\r\n") != 354) return -1;
    if (send_all(session->socket, session->message, plan.template_size + 3)) return -1;
    if (read_reply(session) != 250) return -1;
    latencies[atomic_fetch_add(&accepted, 1)] = (now() - began) * 1e3;
    return 0;
}

static void *run(void *argument) {
    struct session *session = argument;
    session->message = malloc(plan.template_size + 3);
    memcpy(session->message, plan.template, plan.template_size);
    memcpy(session->message + plan.template_size, ".\r\n", 3);
    while (atomic_fetch_sub(&left, 1) > 0) {
        if (open_connection(session)) {
            note_failure(session);
            close(session->socket);
            continue;
        }
        for (int sent = 1;; sent++) {
            if (send_message(session)) {
                note_failure(session);
                break;
            }
            if (sent >= plan.per_connection || atomic_fetch_sub(&left, 1) <= 0) break;
        }
        send_all(session->socket, "QUIT\r\n", 6);
        close(session->socket);
    }
    free(session->message);
    return NULL;
}

static void read_template(const char *path) {
    FILE *file = fopen(path, "rb");
    if (!file) {
        perror(path);
        exit(2);
    }
    fseek(file, 0, SEEK_END);
    plan.template_size = (size_t)ftell(file);
    rewind(file);
    plan.template = malloc(plan.template_size);
    plan.marks = malloc(plan.template_size * sizeof *plan.marks);
    if (fread(plan.template, 1, plan.template_size, file) != plan.template_size) exit(2);
    fclose(file);
    for (size_t at = 0; at < plan.template_size; at++)
        if (plan.template[at] == 1) plan.marks[plan.mark_count++] = at;
}

static int ascending(const void *left_value, const void *right_value) {
    double difference = *(const double *)left_value - *(const double *)right_value;
    return (difference > 0) - (difference < 0);
}

int main(int count, char **arguments) {
    if (count != 8) {
        fprintf(stderr, "usage: smtpload HOST PORT TEMPLATE MESSAGES SESSIONS PER_CONNECTION RECIPIENT\n");
        return 2;
    }
    plan.server.sin_family = AF_INET;
    plan.server.sin_port = htons((uint16_t)atoi(arguments[2]));
    if (inet_pton(AF_INET, arguments[1], &plan.server.sin_addr) != 1) return 2;
    read_template(arguments[3]);
    long messages = atol(arguments[4]);
    int sessions = atoi(arguments[5]);
    plan.per_connection = atoi(arguments[6]);
    plan.recipient = arguments[7];
    atomic_store(&left, messages);
    latencies = calloc((size_t)messages + 1, sizeof *latencies);
    struct session *all = calloc((size_t)sessions, sizeof *all);
    pthread_t *threads = calloc((size_t)sessions, sizeof *threads);
    double began = now();
    for (int n = 0; n < sessions; n++) {
        all[n].random = (uint64_t)time(NULL) * 6364136223846793005u + (uint64_t)getpid() * 1442695040888963407u + (uint64_t)n + 1;
        pthread_create(&threads[n], NULL, run, &all[n]);
    }
    for (int n = 0; n < sessions; n++) pthread_join(threads[n], NULL);
    double seconds = now() - began;
    long good = atomic_load(&accepted);
    qsort(latencies, (size_t)good, sizeof *latencies, ascending);
    printf("{\"accepted\": %ld, \"failed\": %ld, \"seconds\": %.4f, \"median_ms\": %.2f, \"p99_ms\": %.2f, \"first_failure\": \"%s\"}\n",
           good, atomic_load(&failed), seconds, good ? latencies[good / 2] : 0.0, good ? latencies[good * 99 / 100] : 0.0,
           first_failure);
    return 0;
}
