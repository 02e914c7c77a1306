/* SPDX-License-Identifier: MIT */
/*
 * Sessions of terminals: see session.h. What the client can write is never read here, but for
 * `waiting`, which is only compared with 0.
 */
#include "session.h"

#include <errno.h>
#include <stdlib.h>

#define ARENA_BYTES IO_ARENA_TO_ENGINE
#define ARMED_MAX   4096u /* of one session: as many terminals as it may watch */

struct session {
    enum badge_kind badge_kind;
    uint64_t badge;
    uint8_t *arena; /* the first ARENA_BYTES, committed: header and to_client */
    struct io_doorbell *doorbell;
    uint32_t armed;
    bool rung;
};

struct armed {
    struct armed *next;
    struct session *session;
    struct tty_object *object;
    uint32_t mask, bit;
    bool lent;     /* told by session_tell_lent() alone, and armed on */
    uint32_t seen; /* news of an object that was ready; 0: it was not */
};

static struct armed *armed;

/* ---- life ---- */

static void session_free(struct session *s)
{
    if (s->arena)
        motor_unmap(0, (uint64_t)(uintptr_t)s->arena, ARENA_BYTES);
    if (s->doorbell)
        motor_unmap(0, (uint64_t)(uintptr_t)s->doorbell, MOTOR_PAGE_SIZE);
    if (s->badge)
        badge_remove(&tty_engine.badges, s->badge);
    free(s);
}

/*
 * The client's page is pinned, so that its owner can neither shrink the object nor take the page
 * away under us. The object goes with the mapping.
 */
static bool adopt_doorbell(struct session *s, motor_handle vmo)
{
    uint64_t physical;
    if (!vmo || motor_vmo_control(vmo, MOTOR_VMO_PHYSICAL, 0, MOTOR_PAGE_SIZE, &physical) < 0)
        return false;
    int64_t at = motor_map(0, vmo, 0, 0, MOTOR_PAGE_SIZE, MOTOR_PROT_READ | MOTOR_PROT_WRITE);
    s->doorbell = at < 0 ? NULL : (struct io_doorbell *)at;
    return at >= 0;
}

static motor_handle make_arena(struct session *s)
{
    int64_t vmo = motor_vmo_create(IO_ARENA_SIZE, 0);
    if (vmo < 0)
        return 0;
    int64_t at = -MOTOR_ENOMEM;
    if (motor_vmo_control((motor_handle)vmo, MOTOR_VMO_COMMIT, 0, ARENA_BYTES, NULL) >= 0)
        at = motor_map(0, (motor_handle)vmo, 0, 0, ARENA_BYTES, MOTOR_PROT_READ | MOTOR_PROT_WRITE);
    if (at < 0) {
        motor_handle_close((motor_handle)vmo);
        return 0;
    }
    s->arena = (uint8_t *)at;
    *(struct io_session *)s->arena = (struct io_session){.magic = IO_SESSION_MAGIC, .version = 1};
    return (motor_handle)vmo;
}

void session_open(struct motor_event *ev)
{
    struct session *s = memory_low() ? NULL : calloc(1, sizeof *s);
    motor_handle arena = 0;
    int64_t gate = -ENOMEM;
    if (s && ev->nhandles == 2 && adopt_doorbell(s, ev->handle[1])) {
        arena = make_arena(s);
        s->badge = arena ? badge_add(&tty_engine.badges, s) : 0;
        if (s->badge)
            gate = engine_gate(&tty_engine, s->badge);
    } else if (s) {
        gate = -EINVAL;
    }
    struct motor_reply *r = engine_reply(&tty_engine, ev->token, gate < 0 ? gate : 0);
    if (gate < 0) {
        if (arena)
            motor_handle_close(arena);
        if (s)
            session_free(s);
        return;
    }
    r->word[0] = IO_ARENA_SIZE;
    engine_reply_handle(r, (motor_handle)gate, MOTOR_RIGHT_CALL | MOTOR_RIGHT_DUP);
    engine_reply_handle(r, arena, MOTOR_RIGHT_READ | MOTOR_RIGHT_WRITE | MOTOR_RIGHT_DUP);
}

/* A session; NULL: no such, or the badge leads to something else. */
static struct session *session_find(uint64_t badge)
{
    struct session *s = badge_get(&tty_engine.badges, badge);
    return s && s->badge_kind == BADGE_SESSION ? s : NULL;
}

bool session_closed(uint64_t badge)
{
    struct session *s = session_find(badge);
    if (!s)
        return false;
    for (struct armed **link = &armed, *a; (a = *link);) {
        if (a->session != s) {
            link = &a->next;
            continue;
        }
        *link = a->next;
        free(a);
    }
    session_free(s);
    return true;
}

/* ---- bits ---- */

int64_t session_arm(uint64_t badge, uint64_t bit, struct tty_object *object, uint32_t mask,
                    bool lent)
{
    struct session *s = session_find(badge);
    if (!s || bit >= IO_SLOTS)
        return -EINVAL;
    uint32_t seen = object->ops->ready(object) & mask ? object->news : 0;
    for (struct armed *a = armed; a; a = a->next)
        if (a->session == s && a->bit == bit) { /* armed anew */
            a->object = object;
            a->mask = mask;
            a->lent = lent;
            a->seen = seen;
            return 0;
        }
    struct armed *a = s->armed < ARMED_MAX ? malloc(sizeof *a) : NULL;
    if (!a)
        return -ENOMEM;
    *a = (struct armed){armed, s, object, mask, (uint32_t)bit, lent, seen};
    armed = a;
    s->armed++;
    return 0;
}

static void set_bit(struct session *s, uint32_t bit)
{
    struct io_bitmap *map = (struct io_bitmap *)(s->arena + IO_ARENA_TO_CLIENT);
    uint32_t word = bit / 64;
    __atomic_fetch_or(&map->bits[word], 1ull << bit % 64, __ATOMIC_SEQ_CST);
    __atomic_fetch_or(&map->summary[word / 64], 1ull << word % 64, __ATOMIC_SEQ_CST);
    if (io_doorbell_ring(s->doorbell))
        motor_futex_wake(&s->doorbell->word, UINT32_MAX, MOTOR_FUTEX_SHARED);
}

void session_forget(const struct tty_object *object)
{
    for (struct armed **link = &armed, *a; (a = *link);) {
        if (a->object != object) {
            link = &a->next;
            continue;
        }
        *link = a->next;
        a->session->armed--;
        free(a);
    }
}

static void tell(struct armed **link)
{
    struct armed *a = *link;
    *link = a->next;
    a->session->armed--;
    set_bit(a->session, a->bit);
    free(a);
}

void session_fire(const struct tty_object *object)
{
    for (struct armed **link = &armed, *a; (a = *link);)
        if (a->object == object)
            tell(link);
        else
            link = &a->next;
}

void session_tell_lent(const struct tty_object *object)
{
    for (struct armed *a = armed; a; a = a->next)
        if (a->object == object && a->lent)
            set_bit(a->session, a->bit);
}

void session_tell(void)
{
    for (struct armed **link = &armed, *a; (a = *link);) {
        bool nothing_new = a->seen && a->seen == a->object->news;
        if (a->lent || nothing_new || !(a->object->ops->ready(a->object) & a->mask)) {
            link = &a->next;
            continue;
        }
        tell(link);
    }
}
