/* SPDX-License-Identifier: MIT */
/* The SDK's <sys/queue.h>: each kind of list, walked after each kind of change. */
#include "check.h"
#include <sys/queue.h>

struct item {
    int value;
    SLIST_ENTRY(item) s;
    LIST_ENTRY(item) l;
    STAILQ_ENTRY(item) q;
    TAILQ_ENTRY(item) t;
};
SLIST_HEAD(slist, item);
LIST_HEAD(list, item);
STAILQ_HEAD(stailq, item);
TAILQ_HEAD(tailq, item);

static struct item a[5];

/* The values that a walk of any kind meets are the digits of `wanted`. */
#define CHECK_WALK(wanted, walk) \
    do { \
        char met[16], *end = met; \
        struct item *x, *next = NULL; \
        walk *end++ = (char)('0' + x->value); \
        *end = 0; \
        (void)next; \
        CHECK(!strcmp(met, wanted)); \
    } while (0)

static void check_slist(void)
{
    struct slist one = SLIST_HEAD_INITIALIZER(one), two;
    SLIST_INIT(&two);
    CHECK(SLIST_EMPTY(&one));
    for (int i = 0; i < 5; i++)
        SLIST_INSERT_HEAD(&one, &a[i], s);
    SLIST_REMOVE(&one, &a[2], item, s);
    SLIST_REMOVE_HEAD(&one, s);
    CHECK_WALK("310", SLIST_FOREACH (x, &one, s));
    SLIST_INSERT_AFTER(&a[3], &a[4], s);
    SLIST_REMOVE_AFTER(&a[4], s);
    SLIST_SWAP(&one, &two, item);
    CHECK(SLIST_EMPTY(&one));
    CHECK_WALK("340", SLIST_FOREACH_SAFE(x, &two, s, next));
}

static void check_list(void)
{
    struct list one = LIST_HEAD_INITIALIZER(one), two;
    struct item other = {.value = 9};
    LIST_INIT(&two);
    for (int i = 0; i < 5; i++)
        LIST_INSERT_HEAD(&one, &a[i], l);
    LIST_REMOVE(&a[2], l);
    LIST_INSERT_BEFORE(&a[0], &a[2], l);
    LIST_REMOVE(&a[4], l);
    LIST_INSERT_AFTER(&a[0], &a[4], l);
    CHECK_WALK("31204", LIST_FOREACH_SAFE (x, &one, l, next));
    CHECK(LIST_PREV(&a[4], &one, item, l) == &a[0]);
    CHECK(LIST_PREV(&a[3], &one, item, l) == NULL);
    LIST_SWAP(&one, &two, item, l);
    LIST_REPLACE(&a[3], &other, l);
    CHECK(LIST_EMPTY(&one));
    CHECK_WALK("91204", LIST_FOREACH (x, &two, l));
}

static void check_stailq(void)
{
    struct stailq one = STAILQ_HEAD_INITIALIZER(one), two;
    STAILQ_INIT(&two);
    CHECK(STAILQ_LAST(&one, item, q) == NULL);
    for (int i = 0; i < 5; i++)
        STAILQ_INSERT_TAIL(&one, &a[i], q);
    STAILQ_REMOVE(&one, &a[4], item, q);
    CHECK(STAILQ_LAST(&one, item, q) == &a[3]);
    STAILQ_INSERT_TAIL(&two, &a[4], q);
    STAILQ_CONCAT(&one, &two);
    CHECK(STAILQ_EMPTY(&two));
    STAILQ_SWAP(&one, &two, item);
    STAILQ_REMOVE_HEAD(&two, q);
    STAILQ_INSERT_HEAD(&two, &a[0], q);
    STAILQ_REMOVE_AFTER(&two, &a[1], q);
    STAILQ_INSERT_AFTER(&two, &a[4], &a[2], q);
    CHECK(STAILQ_EMPTY(&one));
    CHECK(STAILQ_LAST(&two, item, q) == &a[2]);
    CHECK_WALK("01342", STAILQ_FOREACH (x, &two, q));
}

static void check_tailq(void)
{
    struct tailq one = TAILQ_HEAD_INITIALIZER(one), two;
    struct item other = {.value = 9};
    TAILQ_INIT(&two);
    for (int i = 0; i < 5; i++)
        TAILQ_INSERT_TAIL(&one, &a[i], t);
    TAILQ_REMOVE(&one, &a[4], t);
    TAILQ_INSERT_HEAD(&one, &a[4], t);
    TAILQ_REMOVE(&one, &a[1], t);
    TAILQ_INSERT_BEFORE(&a[3], &a[1], t);
    TAILQ_REMOVE(&one, &a[0], t);
    TAILQ_INSERT_AFTER(&one, &a[3], &a[0], t);
    CHECK_WALK("42130", TAILQ_FOREACH (x, &one, t));
    CHECK_WALK("03124", TAILQ_FOREACH_REVERSE(x, &one, tailq, t));
    CHECK_WALK("03124", TAILQ_FOREACH_REVERSE_SAFE(x, &one, tailq, t, next));
    CHECK(TAILQ_LAST(&one, tailq) == &a[0] && TAILQ_LAST(&two, tailq) == NULL);
    CHECK(TAILQ_PREV(&a[4], tailq, t) == NULL && TAILQ_PREV(&a[2], tailq, t) == &a[4]);
    TAILQ_SWAP(&one, &two, item, t);
    TAILQ_CONCAT(&one, &two, t);
    TAILQ_REPLACE(&one, &a[0], &other, t);
    CHECK(TAILQ_LAST(&one, tailq) == &other && TAILQ_EMPTY(&two));
    CHECK_WALK("42139", TAILQ_FOREACH_SAFE (x, &one, t, next));
}

int main(void)
{
    for (int i = 0; i < 5; i++)
        a[i].value = i;
    check_slist();
    check_list();
    check_stailq();
    check_tailq();
    return 0;
}
