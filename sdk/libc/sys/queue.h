/* SPDX-License-Identifier: MIT */
/*
 * <sys/queue.h>: the BSD list macros, which many servers expect of a C library and musl lacks.
 *
 * SLIST   singly linked list                 STAILQ  singly linked queue (also SIMPLEQ)
 * LIST    doubly linked list                 TAILQ   doubly linked queue
 *
 * A doubly linked entry's back link is the address of the pointer that points at it: the previous
 * entry's link or the head's. So removal needs no head, and the TAILQ macros that go backwards
 * read the previous entry's back link through a head-shaped view of it. All macros may evaluate
 * their arguments more than once, as elsewhere.
 */
#ifndef _SYS_QUEUE_H
#define _SYS_QUEUE_H

#include <stddef.h>

/* ---- SLIST ---- */

#define SLIST_HEAD(name, type) \
    struct name { \
        struct type *slh_first; \
    }
#define SLIST_HEAD_INITIALIZER(head) \
    { \
        NULL \
    }
#define SLIST_ENTRY(type) \
    struct { \
        struct type *sle_next; \
    }

#define SLIST_FIRST(head)      ((head)->slh_first)
#define SLIST_END(head)        NULL
#define SLIST_NEXT(elm, field) ((elm)->field.sle_next)
#define SLIST_EMPTY(head)      (SLIST_FIRST(head) == NULL)

#define SLIST_INIT(head) ((void)(SLIST_FIRST(head) = NULL))

#define SLIST_FOREACH(var, head, field) \
    for ((var) = SLIST_FIRST(head); (var) != NULL; (var) = SLIST_NEXT(var, field))
#define SLIST_FOREACH_FROM(var, head, field) \
    for ((var) = (var) ? (var) : SLIST_FIRST(head); (var) != NULL; (var) = SLIST_NEXT(var, field))
#define SLIST_FOREACH_SAFE(var, head, field, tvar) \
    for ((var) = SLIST_FIRST(head); (var) != NULL && ((tvar) = SLIST_NEXT(var, field), 1); \
         (var) = (tvar))
#define SLIST_FOREACH_PREVPTR(var, varp, head, field) \
    for ((varp) = &SLIST_FIRST(head); ((var) = *(varp)) != NULL; (varp) = &SLIST_NEXT(var, field))

#define SLIST_INSERT_HEAD(head, elm, field) \
    do { \
        SLIST_NEXT(elm, field) = SLIST_FIRST(head); \
        SLIST_FIRST(head) = (elm); \
    } while (0)
#define SLIST_INSERT_AFTER(listelm, elm, field) \
    do { \
        SLIST_NEXT(elm, field) = SLIST_NEXT(listelm, field); \
        SLIST_NEXT(listelm, field) = (elm); \
    } while (0)
#define SLIST_REMOVE_HEAD(head, field) \
    ((void)(SLIST_FIRST(head) = SLIST_NEXT(SLIST_FIRST(head), field)))
#define SLIST_REMOVE_AFTER(elm, field) \
    ((void)(SLIST_NEXT(elm, field) = SLIST_NEXT(SLIST_NEXT(elm, field), field)))
#define SLIST_REMOVE(head, elm, type, field) \
    do { \
        struct type **queue_link = &SLIST_FIRST(head); \
        while (*queue_link != (elm)) \
            queue_link = &SLIST_NEXT(*queue_link, field); \
        *queue_link = SLIST_NEXT(*queue_link, field); \
    } while (0)
#define SLIST_SWAP(head1, head2, type) \
    do { \
        struct type *queue_first = SLIST_FIRST(head1); \
        SLIST_FIRST(head1) = SLIST_FIRST(head2); \
        SLIST_FIRST(head2) = queue_first; \
    } while (0)

/* ---- LIST ---- */

#define LIST_HEAD(name, type) \
    struct name { \
        struct type *lh_first; \
    }
#define LIST_HEAD_INITIALIZER(head) \
    { \
        NULL \
    }
#define LIST_ENTRY(type) \
    struct { \
        struct type *le_next; \
        struct type **le_prev; \
    }

#define LIST_FIRST(head)      ((head)->lh_first)
#define LIST_END(head)        NULL
#define LIST_NEXT(elm, field) ((elm)->field.le_next)
#define LIST_EMPTY(head)      (LIST_FIRST(head) == NULL)
#define LIST_PREV(elm, head, type, field) \
    ((elm)->field.le_prev == &LIST_FIRST(head) \
         ? (struct type *)NULL \
         : (struct type *)(void *)((char *)(elm)->field.le_prev - \
                                   offsetof(struct type, field.le_next)))

#define LIST_INIT(head) ((void)(LIST_FIRST(head) = NULL))

#define LIST_FOREACH(var, head, field) \
    for ((var) = LIST_FIRST(head); (var) != NULL; (var) = LIST_NEXT(var, field))
#define LIST_FOREACH_FROM(var, head, field) \
    for ((var) = (var) ? (var) : LIST_FIRST(head); (var) != NULL; (var) = LIST_NEXT(var, field))
#define LIST_FOREACH_SAFE(var, head, field, tvar) \
    for ((var) = LIST_FIRST(head); (var) != NULL && ((tvar) = LIST_NEXT(var, field), 1); \
         (var) = (tvar))

#define LIST_INSERT_HEAD(head, elm, field) \
    do { \
        if ((LIST_NEXT(elm, field) = LIST_FIRST(head)) != NULL) \
            LIST_FIRST(head)->field.le_prev = &LIST_NEXT(elm, field); \
        LIST_FIRST(head) = (elm); \
        (elm)->field.le_prev = &LIST_FIRST(head); \
    } while (0)
#define LIST_INSERT_AFTER(listelm, elm, field) \
    do { \
        if ((LIST_NEXT(elm, field) = LIST_NEXT(listelm, field)) != NULL) \
            LIST_NEXT(listelm, field)->field.le_prev = &LIST_NEXT(elm, field); \
        LIST_NEXT(listelm, field) = (elm); \
        (elm)->field.le_prev = &LIST_NEXT(listelm, field); \
    } while (0)
#define LIST_INSERT_BEFORE(listelm, elm, field) \
    do { \
        (elm)->field.le_prev = (listelm)->field.le_prev; \
        LIST_NEXT(elm, field) = (listelm); \
        *(listelm)->field.le_prev = (elm); \
        (listelm)->field.le_prev = &LIST_NEXT(elm, field); \
    } while (0)
#define LIST_REMOVE(elm, field) \
    do { \
        if (LIST_NEXT(elm, field) != NULL) \
            LIST_NEXT(elm, field)->field.le_prev = (elm)->field.le_prev; \
        *(elm)->field.le_prev = LIST_NEXT(elm, field); \
    } while (0)
#define LIST_REPLACE(elm, elm2, field) \
    do { \
        if ((LIST_NEXT(elm2, field) = LIST_NEXT(elm, field)) != NULL) \
            LIST_NEXT(elm2, field)->field.le_prev = &LIST_NEXT(elm2, field); \
        (elm2)->field.le_prev = (elm)->field.le_prev; \
        *(elm2)->field.le_prev = (elm2); \
    } while (0)
#define LIST_SWAP(head1, head2, type, field) \
    do { \
        struct type *queue_first = LIST_FIRST(head1); \
        if ((LIST_FIRST(head1) = LIST_FIRST(head2)) != NULL) \
            LIST_FIRST(head1)->field.le_prev = &LIST_FIRST(head1); \
        if ((LIST_FIRST(head2) = queue_first) != NULL) \
            LIST_FIRST(head2)->field.le_prev = &LIST_FIRST(head2); \
    } while (0)

/* ---- STAILQ ---- */

#define STAILQ_HEAD(name, type) \
    struct name { \
        struct type *stqh_first; \
        struct type **stqh_last; /* the last link, which is NULL */ \
    }
#define STAILQ_HEAD_INITIALIZER(head) \
    { \
        NULL, &(head).stqh_first \
    }
#define STAILQ_ENTRY(type) \
    struct { \
        struct type *stqe_next; \
    }

#define STAILQ_FIRST(head)      ((head)->stqh_first)
#define STAILQ_END(head)        NULL
#define STAILQ_NEXT(elm, field) ((elm)->field.stqe_next)
#define STAILQ_EMPTY(head)      (STAILQ_FIRST(head) == NULL)
#define STAILQ_LAST(head, type, field) \
    (STAILQ_EMPTY(head) ? (struct type *)NULL \
                        : (struct type *)(void *)((char *)(head)->stqh_last - \
                                                  offsetof(struct type, field.stqe_next)))

#define STAILQ_INIT(head) \
    do { \
        STAILQ_FIRST(head) = NULL; \
        (head)->stqh_last = &STAILQ_FIRST(head); \
    } while (0)

#define STAILQ_FOREACH(var, head, field) \
    for ((var) = STAILQ_FIRST(head); (var) != NULL; (var) = STAILQ_NEXT(var, field))
#define STAILQ_FOREACH_FROM(var, head, field) \
    for ((var) = (var) ? (var) : STAILQ_FIRST(head); (var) != NULL; (var) = STAILQ_NEXT(var, field))
#define STAILQ_FOREACH_SAFE(var, head, field, tvar) \
    for ((var) = STAILQ_FIRST(head); (var) != NULL && ((tvar) = STAILQ_NEXT(var, field), 1); \
         (var) = (tvar))

#define STAILQ_INSERT_HEAD(head, elm, field) \
    do { \
        if ((STAILQ_NEXT(elm, field) = STAILQ_FIRST(head)) == NULL) \
            (head)->stqh_last = &STAILQ_NEXT(elm, field); \
        STAILQ_FIRST(head) = (elm); \
    } while (0)
#define STAILQ_INSERT_TAIL(head, elm, field) \
    do { \
        STAILQ_NEXT(elm, field) = NULL; \
        *(head)->stqh_last = (elm); \
        (head)->stqh_last = &STAILQ_NEXT(elm, field); \
    } while (0)
#define STAILQ_INSERT_AFTER(head, listelm, elm, field) \
    do { \
        if ((STAILQ_NEXT(elm, field) = STAILQ_NEXT(listelm, field)) == NULL) \
            (head)->stqh_last = &STAILQ_NEXT(elm, field); \
        STAILQ_NEXT(listelm, field) = (elm); \
    } while (0)
#define STAILQ_REMOVE_HEAD(head, field) \
    do { \
        if ((STAILQ_FIRST(head) = STAILQ_NEXT(STAILQ_FIRST(head), field)) == NULL) \
            (head)->stqh_last = &STAILQ_FIRST(head); \
    } while (0)
#define STAILQ_REMOVE_HEAD_UNTIL(head, elm, field) \
    do { \
        if ((STAILQ_FIRST(head) = STAILQ_NEXT(elm, field)) == NULL) \
            (head)->stqh_last = &STAILQ_FIRST(head); \
    } while (0)
#define STAILQ_REMOVE_AFTER(head, elm, field) \
    do { \
        if ((STAILQ_NEXT(elm, field) = STAILQ_NEXT(STAILQ_NEXT(elm, field), field)) == NULL) \
            (head)->stqh_last = &STAILQ_NEXT(elm, field); \
    } while (0)
#define STAILQ_REMOVE(head, elm, type, field) \
    do { \
        struct type **queue_link = &STAILQ_FIRST(head); \
        while (*queue_link != (elm)) \
            queue_link = &STAILQ_NEXT(*queue_link, field); \
        if ((*queue_link = STAILQ_NEXT(*queue_link, field)) == NULL) \
            (head)->stqh_last = queue_link; \
    } while (0)
#define STAILQ_CONCAT(head1, head2) \
    do { \
        if (!STAILQ_EMPTY(head2)) { \
            *(head1)->stqh_last = STAILQ_FIRST(head2); \
            (head1)->stqh_last = (head2)->stqh_last; \
            STAILQ_INIT(head2); \
        } \
    } while (0)
#define STAILQ_SWAP(head1, head2, type) \
    do { \
        struct type *queue_first = STAILQ_FIRST(head1); \
        struct type **queue_last = (head1)->stqh_last; \
        STAILQ_FIRST(head1) = STAILQ_FIRST(head2); \
        (head1)->stqh_last = (head2)->stqh_last; \
        STAILQ_FIRST(head2) = queue_first; \
        (head2)->stqh_last = queue_last; \
        if (STAILQ_EMPTY(head1)) \
            (head1)->stqh_last = &STAILQ_FIRST(head1); \
        if (STAILQ_EMPTY(head2)) \
            (head2)->stqh_last = &STAILQ_FIRST(head2); \
    } while (0)

/* ---- SIMPLEQ: STAILQ under the name of NetBSD and OpenBSD ---- */

#define SIMPLEQ_HEAD             STAILQ_HEAD
#define SIMPLEQ_HEAD_INITIALIZER STAILQ_HEAD_INITIALIZER
#define SIMPLEQ_ENTRY            STAILQ_ENTRY
#define SIMPLEQ_FIRST            STAILQ_FIRST
#define SIMPLEQ_END              STAILQ_END
#define SIMPLEQ_NEXT             STAILQ_NEXT
#define SIMPLEQ_EMPTY            STAILQ_EMPTY
#define SIMPLEQ_LAST             STAILQ_LAST
#define SIMPLEQ_INIT             STAILQ_INIT
#define SIMPLEQ_FOREACH          STAILQ_FOREACH
#define SIMPLEQ_FOREACH_SAFE     STAILQ_FOREACH_SAFE
#define SIMPLEQ_INSERT_HEAD      STAILQ_INSERT_HEAD
#define SIMPLEQ_INSERT_TAIL      STAILQ_INSERT_TAIL
#define SIMPLEQ_INSERT_AFTER     STAILQ_INSERT_AFTER
#define SIMPLEQ_REMOVE_HEAD      STAILQ_REMOVE_HEAD
#define SIMPLEQ_REMOVE_AFTER     STAILQ_REMOVE_AFTER
#define SIMPLEQ_REMOVE           STAILQ_REMOVE
#define SIMPLEQ_CONCAT           STAILQ_CONCAT

/* ---- TAILQ ---- */

#define TAILQ_HEAD(name, type) \
    struct name { \
        struct type *tqh_first; \
        struct type **tqh_last; /* the last link, which is NULL */ \
    }
#define TAILQ_HEAD_INITIALIZER(head) \
    { \
        NULL, &(head).tqh_first \
    }
#define TAILQ_ENTRY(type) \
    struct { \
        struct type *tqe_next; \
        struct type **tqe_prev; \
    }

#define TAILQ_FIRST(head)          ((head)->tqh_first)
#define TAILQ_END(head)            NULL
#define TAILQ_NEXT(elm, field)     ((elm)->field.tqe_next)
#define TAILQ_EMPTY(head)          (TAILQ_FIRST(head) == NULL)
/* An entry is laid out like a head, so what holds the last link also holds the link to itself. */
#define TAILQ_LAST(head, headname) (*((struct headname *)(void *)(head)->tqh_last)->tqh_last)
#define TAILQ_PREV(elm, headname, field) \
    (*((struct headname *)(void *)(elm)->field.tqe_prev)->tqh_last)

#define TAILQ_INIT(head) \
    do { \
        TAILQ_FIRST(head) = NULL; \
        (head)->tqh_last = &TAILQ_FIRST(head); \
    } while (0)

#define TAILQ_FOREACH(var, head, field) \
    for ((var) = TAILQ_FIRST(head); (var) != NULL; (var) = TAILQ_NEXT(var, field))
#define TAILQ_FOREACH_FROM(var, head, field) \
    for ((var) = (var) ? (var) : TAILQ_FIRST(head); (var) != NULL; (var) = TAILQ_NEXT(var, field))
#define TAILQ_FOREACH_SAFE(var, head, field, tvar) \
    for ((var) = TAILQ_FIRST(head); (var) != NULL && ((tvar) = TAILQ_NEXT(var, field), 1); \
         (var) = (tvar))
#define TAILQ_FOREACH_REVERSE(var, head, headname, field) \
    for ((var) = TAILQ_LAST(head, headname); (var) != NULL; \
         (var) = TAILQ_PREV(var, headname, field))
#define TAILQ_FOREACH_REVERSE_SAFE(var, head, headname, field, tvar) \
    for ((var) = TAILQ_LAST(head, headname); \
         (var) != NULL && ((tvar) = TAILQ_PREV(var, headname, field), 1); (var) = (tvar))

#define TAILQ_INSERT_HEAD(head, elm, field) \
    do { \
        if ((TAILQ_NEXT(elm, field) = TAILQ_FIRST(head)) != NULL) \
            TAILQ_FIRST(head)->field.tqe_prev = &TAILQ_NEXT(elm, field); \
        else \
            (head)->tqh_last = &TAILQ_NEXT(elm, field); \
        TAILQ_FIRST(head) = (elm); \
        (elm)->field.tqe_prev = &TAILQ_FIRST(head); \
    } while (0)
#define TAILQ_INSERT_TAIL(head, elm, field) \
    do { \
        TAILQ_NEXT(elm, field) = NULL; \
        (elm)->field.tqe_prev = (head)->tqh_last; \
        *(head)->tqh_last = (elm); \
        (head)->tqh_last = &TAILQ_NEXT(elm, field); \
    } while (0)
#define TAILQ_INSERT_AFTER(head, listelm, elm, field) \
    do { \
        if ((TAILQ_NEXT(elm, field) = TAILQ_NEXT(listelm, field)) != NULL) \
            TAILQ_NEXT(elm, field)->field.tqe_prev = &TAILQ_NEXT(elm, field); \
        else \
            (head)->tqh_last = &TAILQ_NEXT(elm, field); \
        TAILQ_NEXT(listelm, field) = (elm); \
        (elm)->field.tqe_prev = &TAILQ_NEXT(listelm, field); \
    } while (0)
#define TAILQ_INSERT_BEFORE(listelm, elm, field) \
    do { \
        (elm)->field.tqe_prev = (listelm)->field.tqe_prev; \
        TAILQ_NEXT(elm, field) = (listelm); \
        *(listelm)->field.tqe_prev = (elm); \
        (listelm)->field.tqe_prev = &TAILQ_NEXT(elm, field); \
    } while (0)
#define TAILQ_REMOVE(head, elm, field) \
    do { \
        if (TAILQ_NEXT(elm, field) != NULL) \
            TAILQ_NEXT(elm, field)->field.tqe_prev = (elm)->field.tqe_prev; \
        else \
            (head)->tqh_last = (elm)->field.tqe_prev; \
        *(elm)->field.tqe_prev = TAILQ_NEXT(elm, field); \
    } while (0)
#define TAILQ_REPLACE(head, elm, elm2, field) \
    do { \
        if ((TAILQ_NEXT(elm2, field) = TAILQ_NEXT(elm, field)) != NULL) \
            TAILQ_NEXT(elm2, field)->field.tqe_prev = &TAILQ_NEXT(elm2, field); \
        else \
            (head)->tqh_last = &TAILQ_NEXT(elm2, field); \
        (elm2)->field.tqe_prev = (elm)->field.tqe_prev; \
        *(elm2)->field.tqe_prev = (elm2); \
    } while (0)
#define TAILQ_CONCAT(head1, head2, field) \
    do { \
        if (!TAILQ_EMPTY(head2)) { \
            *(head1)->tqh_last = TAILQ_FIRST(head2); \
            TAILQ_FIRST(head2)->field.tqe_prev = (head1)->tqh_last; \
            (head1)->tqh_last = (head2)->tqh_last; \
            TAILQ_INIT(head2); \
        } \
    } while (0)
#define TAILQ_SWAP(head1, head2, type, field) \
    do { \
        struct type *queue_first = TAILQ_FIRST(head1); \
        struct type **queue_last = (head1)->tqh_last; \
        TAILQ_FIRST(head1) = TAILQ_FIRST(head2); \
        (head1)->tqh_last = (head2)->tqh_last; \
        TAILQ_FIRST(head2) = queue_first; \
        (head2)->tqh_last = queue_last; \
        if (!TAILQ_EMPTY(head1)) \
            TAILQ_FIRST(head1)->field.tqe_prev = &TAILQ_FIRST(head1); \
        else \
            (head1)->tqh_last = &TAILQ_FIRST(head1); \
        if (!TAILQ_EMPTY(head2)) \
            TAILQ_FIRST(head2)->field.tqe_prev = &TAILQ_FIRST(head2); \
        else \
            (head2)->tqh_last = &TAILQ_FIRST(head2); \
    } while (0)

#endif
