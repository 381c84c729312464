// The C side of hiredis_c.py: `worker`, a worker of the little queue (see README); `add`, which reads names of
// jobs, adds each and prints those that were acknowledged; `session`, which prints checks.
#include <hiredis/hiredis.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/time.h>
#include <unistd.h>

static redisContext* c;

static double now(void) {
  struct timeval t;
  gettimeofday(&t, NULL);
  return (double)t.tv_sec + (double)t.tv_usec / 1e6;
}

static void reconnect(void) {
  for (;; usleep(50000)) {
    if (c != NULL) redisFree(c);
    c = redisConnect("127.0.0.1", atoi(getenv("PORT")));
    if (c != NULL && c->err == 0) return;
  }
}

static redisReply* kept;  // the last reply, until the next one

static redisReply* take(void* reply) {
  if (kept != NULL) freeReplyObject(kept);
  kept = reply;
  if (kept == NULL) reconnect();
  return kept;
}

#define ask(...) take(redisCommand(c, __VA_ARGS__))

// --- the side file, as in lib/scenario.py ------------------------------------------------------------

static char side[4096];

static void note(const char* event, const char* name) {
  FILE* f = fopen(side, "a");
  fprintf(f, "%s %s %d %.3f\n", event, name, (int)getpid(), now());
  fclose(f);
}

static int begun_before(const char* name) {
  char line[512], wanted[512];
  int found = 0;
  FILE* f = fopen(side, "r");
  snprintf(wanted, sizeof wanted, "start %s ", name);
  while (f != NULL && fgets(line, sizeof line, f)) found |= strncmp(line, wanted, strlen(wanted)) == 0;
  if (f != NULL) fclose(f);
  return found;
}

static int perform(const char* name) {
  int again = begun_before(name);
  note("start", name);
  while (strncmp(name, "hang", 4) == 0 && !again) pause();
  if (strncmp(name, "doomed", 6) == 0 || (strncmp(name, "flaky", 5) == 0 && !again)) {
    note("fail", name);
    return 0;
  }
  usleep(3000);
  note("done", name);
  return 1;
}

// --- the worker: what it has in hand is in a list of its own, which outlives it -----------------------

static const char* move_due =
    "local due = redis.call('ZRANGEBYSCORE', KEYS[1], '-inf', ARGV[1], 'LIMIT', 0, 10) "
    "if #due > 0 then redis.call('ZREM', KEYS[1], unpack(due)) redis.call('LPUSH', KEYS[2], unpack(due)) end "
    "return #due";

static void end_of_job(const char* mine, const char* name, int done, long long failures) {
  redisAppendCommand(c, "MULTI");
  redisAppendCommand(c, "LREM %s 1 %s", mine, name);
  if (done) redisAppendCommand(c, "HSET results %s result-of-%s", name, name);
  else if (failures < 3) redisAppendCommand(c, "ZADD later %f %s", now(), name);
  else redisAppendCommand(c, "RPUSH dead %s", name);
  redisAppendCommand(c, "EXEC");
  for (int i = 0; i < 4; ++i) {
    void* reply = NULL;
    if (redisGetReply(c, &reply) != REDIS_OK) {
      reconnect();
      return;  // the job is still in hand
    }
    freeReplyObject(reply);
  }
}

static void work(void) {
  char mine[64], name[256];
  snprintf(mine, sizeof mine, "hand:%d", (int)getpid());
  ask("SADD hands %s", mine);
  for (;;) {
    if (!ask("EVAL %s 2 later jobs %f", move_due, now())) continue;
    redisReply* r = ask("LINDEX %s 0", mine);
    if (r != NULL && r->type == REDIS_REPLY_NIL) r = ask("BLMOVE jobs %s RIGHT LEFT 0.05", mine);
    if (r == NULL || r->type != REDIS_REPLY_STRING) continue;
    snprintf(name, sizeof name, "%s", r->str);
    int done = perform(name);
    long long failures = 0;
    if (!done && (r = ask("HINCRBY failures %s 1", name)) != NULL) failures = r->integer;
    end_of_job(mine, name, done, failures);
  }
}

static void add(void) {
  char name[256];
  while (fgets(name, sizeof name, stdin)) {
    name[strcspn(name, "\n")] = 0;
    redisReply* r = ask("LPUSH jobs %s", name);
    printf("%s\n", r != NULL && r->type == REDIS_REPLY_INTEGER ? name : "");
    fflush(stdout);
  }
}

static void check(const char* what, int holds) { printf("%s %s\n", holds ? "ok" : "not ok", what); }

static void session(void) {
  char binary[256];
  for (int i = 0; i < 256; ++i) binary[i] = (char)i;
  ask("SET %b %b", "key\0name", (size_t)8, binary, sizeof binary);
  redisReply* r = ask("GET %b", "key\0name", (size_t)8);
  check("binary keys and values come back", r->len == 256 && memcmp(r->str, binary, 256) == 0);
  for (int i = 0; i < 10000; ++i) redisAppendCommand(c, "INCR counter");
  long long last = 0;
  int ordered = 1;
  for (int i = 0; i < 10000; ++i) {
    void* reply;
    redisGetReply(c, &reply);
    ordered &= ((redisReply*)reply)->integer == last + 1;
    last = ((redisReply*)reply)->integer;
    freeReplyObject(reply);
  }
  check("ten thousand commands in a pipeline answer in order", ordered);
  r = ask("LPUSH counter x");
  check("errors are as they are in Redis", r->type == REDIS_REPLY_ERROR && strncmp(r->str, "WRONGTYPE ", 10) == 0);
  r = ask("EVAL %s 0", "return {1, 'two', {3, false}, redis.status_reply('FINE')}");
  check("nested replies come nested", r->elements == 4 && r->element[2]->elements == 2 &&
                                          r->element[2]->element[1]->type == REDIS_REPLY_NIL &&
                                          r->element[3]->type == REDIS_REPLY_STATUS);
  ask("ZADD scores 1.5 half +inf all");
  r = ask("ZRANGE scores 0 -1 WITHSCORES");
  check("scores come", r->elements == 4 && atof(r->element[1]->str) == 1.5 && isinf(atof(r->element[3]->str)));
}

int main(int argc, char** argv) {
  const char* what = argc > 1 ? argv[1] : "";
  snprintf(side, sizeof side, "%s/effects", getenv("WORK"));
  reconnect();
  if (strcmp(what, "worker") == 0) work();
  else if (strcmp(what, "add") == 0) add();
  else session();
  return 0;
}
