/* SPDX-License-Identifier: MIT */
/*
 * Memory of the program: mmap and its family over the kernel's mappings, brk. The kernel keeps the
 * list of mappings; here are the rules of Linux around it.
 */
#include "internal.h"
#include "sysv.h"

#define MAP_32BIT           0x40
#define MAP_GROWSDOWN       0x100
#define MAP_LOCKED          0x2000
#define MAP_POPULATE        0x8000
#define MAP_STACK           0x20000
#define MAP_HUGETLB         0x40000
#define MAP_FIXED_NOREPLACE 0x100000

#define MS_ASYNC 1
#define MS_SYNC  4

#define MREMAP_MAYMOVE   1
#define MREMAP_FIXED     2
#define MREMAP_DONTUNMAP 4

#define PAGE_MASK ((uint64_t)MOTOR_PAGE_SIZE - 1)
#define USER_END  0x00007ffffffff000ull

void px_memory_prepare(struct px_process *p)
{
    static PX_HOT struct px_memory memory;
    p->memory = &memory;
}

void px_memory_start(struct px_process *p, uint64_t brk)
{
    struct px_memory *m = p->memory;
    m->brk_start = m->brk = m->brk_mapped = (brk + PAGE_MASK) & ~PAGE_MASK;
}

static long memory_errno(int64_t status)
{
    return status == -MOTOR_ELIMIT || status == -MOTOR_EHANDLE ? -ENOMEM : px_errno(status);
}

/* A range of the program: page-aligned start, a length that rounds up without wrapping. */
static bool range_ok(uint64_t address, uint64_t *length)
{
    uint64_t rounded = (*length + PAGE_MASK) & ~PAGE_MASK;
    if ((address & PAGE_MASK) || rounded < *length || address > USER_END ||
        rounded > USER_END - address) {
        return false;
    }
    *length = rounded;
    return true;
}

/* RLIMIT_AS: asked only when there is a limit. */
static bool within_limit(uint64_t more)
{
    uint64_t limit = px_limit(RLIMIT_AS);
    if (limit == RLIM_INFINITY) {
        return true;
    }
    struct motor_process_info info = {0};
    motor_process_info(0, MOTOR_PINFO_BASIC, &info, sizeof(info));
    return info.memory_virtual <= limit && more <= limit - info.memory_virtual;
}

/* Is there a mapping at every address of the range? */
static bool all_mapped(uint64_t start, uint64_t end)
{
    while (start < end) {
        struct motor_region_info region = {.start = start};
        int64_t n = motor_process_info(0, MOTOR_PINFO_REGIONS, &region, sizeof(region));
        if (n < 1 || region.start > start) {
            return false;
        }
        start = region.end;
    }
    return true;
}

/* ---- mmap ---- */

static long map_file(uint64_t address, uint64_t length, int prot, int flags, uint32_t kernel,
                     int fd, uint64_t offset)
{
    uint64_t base, size;
    long object = px_file_object(fd, prot, flags, &base, &size);
    if (object < 0) {
        return object;
    }
    int64_t at = motor_map(0, (motor_handle)object, base + offset, address, length, kernel);
    motor_handle_close((motor_handle)object);
    return at < 0 ? memory_errno(at) : at;
}

static long map_shared(uint64_t address, uint64_t length, uint32_t kernel)
{
    int64_t object = motor_vmo_create(length, 0);
    if (object < 0) {
        return memory_errno(object);
    }
    int64_t at = motor_map(0, (motor_handle)object, 0, address, length, kernel);
    motor_handle_close((motor_handle)object);
    return at < 0 ? memory_errno(at) : at;
}

long px_sys_mmap(void *where, size_t size, int prot, int flags, int fd, long offset)
{
    uint64_t address = (uint64_t)where, length = size;
    int type = flags & MAP_TYPE;
    bool fixed = flags & (MAP_FIXED | MAP_FIXED_NOREPLACE);
    if (type != MAP_SHARED && type != MAP_PRIVATE && type != MAP_SHARED_VALIDATE) {
        return -EINVAL;
    }
    if (!length || (offset & (long)PAGE_MASK) || offset < 0) {
        return -EINVAL;
    }
    if (!fixed) {
        address &= ~PAGE_MASK;
        if (address > USER_END || length > USER_END - address) {
            address = 0;
        }
    } else if (address & PAGE_MASK) {
        return -EINVAL;
    }
    if (!range_ok(address, &length) || !length || !within_limit(length)) {
        return -ENOMEM;
    }
    if (fixed && address < MOTOR_PAGE_SIZE * 16) {
        return -EPERM; /* as vm.mmap_min_addr */
    }
    if (flags & MAP_HUGETLB) {
        return -EINVAL; /* large mappings get large pages by themselves */
    }
    uint32_t kernel = (uint32_t)prot & MOTOR_PROT_MASK;
    kernel |= flags & MAP_FIXED_NOREPLACE ? MOTOR_MAP_NOREPLACE
              : flags & MAP_FIXED         ? MOTOR_MAP_FIXED
                                          : 0;
    kernel |= flags & (MAP_POPULATE | MAP_LOCKED) ? MOTOR_MAP_POPULATE : 0;
    kernel |= type == MAP_PRIVATE ? MOTOR_MAP_PRIVATE : 0;
    if (flags & MAP_FIXED) {
        px_shm_forget(address, address + length);
    }
    if (!(flags & MAP_ANONYMOUS)) {
        return map_file(address, length, prot, flags, kernel, fd, (uint64_t)offset);
    }
    if (type != MAP_PRIVATE) {
        return map_shared(address, length, kernel);
    }
    int64_t at = motor_map(0, 0, 0, address, length, kernel);
    return at < 0 ? memory_errno(at) : at;
}

long px_sys_munmap(void *where, size_t size)
{
    uint64_t length = size;
    if (!length || !range_ok((uint64_t)where, &length)) {
        return -EINVAL;
    }
    px_shm_forget((uint64_t)where, (uint64_t)where + length);
    return memory_errno(motor_unmap(0, (uint64_t)where, length));
}

long px_sys_mprotect(void *where, size_t size, int prot)
{
    uint64_t length = size;
    if (((uint64_t)where & PAGE_MASK) || (prot & ~(7 | 0x03000000))) {
        return -EINVAL;
    }
    if (!range_ok((uint64_t)where, &length)) {
        return -ENOMEM;
    }
    return length ? memory_errno(
                        motor_protect(0, (uint64_t)where, length, (uint32_t)prot & MOTOR_PROT_MASK))
                  : 0;
}

long px_sys_mremap(void *where, size_t old_size, size_t new_size, int flags, void *target)
{
    uint64_t old_length = old_size, new_length = new_size, to = (uint64_t)target;
    if (flags & ~(MREMAP_MAYMOVE | MREMAP_FIXED | MREMAP_DONTUNMAP)) {
        return -EINVAL;
    }
    if ((flags & (MREMAP_FIXED | MREMAP_DONTUNMAP)) && !(flags & MREMAP_MAYMOVE)) {
        return -EINVAL;
    }
    if ((flags & MREMAP_DONTUNMAP) || !new_size || !range_ok((uint64_t)where, &old_length) ||
        !old_length || !range_ok(flags & MREMAP_FIXED ? to : 0, &new_length) || !new_length) {
        return -EINVAL;
    }
    if (new_length > old_length && !within_limit(new_length - old_length)) {
        return -ENOMEM;
    }
    int64_t at = motor_remap((uint64_t)where, old_length, to, new_length,
                             (flags & MREMAP_MAYMOVE ? MOTOR_REMAP_MAYMOVE : 0) |
                                 (flags & MREMAP_FIXED ? MOTOR_REMAP_FIXED : 0));
    if (at >= 0 && (uint64_t)at != (uint64_t)where) {
        px_shm_forget((uint64_t)where, (uint64_t)where + old_length);
    }
    return at == -MOTOR_ENOENT ? -EFAULT : at < 0 ? memory_errno(at) : at;
}

/* ---- brk ---- */

long px_sys_brk(void *wanted)
{
    struct px_memory *m = px_proc()->memory;
    uint64_t to = (uint64_t)wanted, result;
    px_lock(&m->lock);
    uint64_t pages = (to + PAGE_MASK) & ~PAGE_MASK;
    if (to >= m->brk_start && pages >= to && pages <= USER_END) {
        bool ok = true;
        uint64_t data = px_limit(RLIMIT_DATA);
        if (pages > m->brk_mapped) {
            ok = (data == RLIM_INFINITY || to - m->brk_start <= data) &&
                 within_limit(pages - m->brk_mapped) &&
                 motor_map(0, 0, 0, m->brk_mapped, pages - m->brk_mapped,
                           MOTOR_PROT_READ | MOTOR_PROT_WRITE | MOTOR_MAP_PRIVATE |
                               MOTOR_MAP_NOREPLACE) >= 0;
        } else if (pages < m->brk_mapped) {
            ok = motor_unmap(0, pages, m->brk_mapped - pages) >= 0;
        }
        if (ok) {
            m->brk_mapped = pages;
            m->brk = to;
        }
    }
    result = m->brk;
    px_unlock(&m->lock);
    return (long)result;
}

/* ---- advice ---- */

long px_sys_madvise(void *where, size_t size, int advice)
{
    uint64_t address = (uint64_t)where, length = size;
    if (!range_ok(address, &length)) {
        return -EINVAL;
    }
    if (!length) {
        return 0;
    }
    switch (advice) {
    case 0: /* NORMAL, RANDOM, SEQUENTIAL, WILLNEED */
    case 1:
    case 2:
    case 3:
    case 12: /* MERGEABLE, UNMERGEABLE, HUGEPAGE, NOHUGEPAGE, DONTDUMP, DODUMP */
    case 13:
    case 14:
    case 15:
    case 16:
    case 17:
    case 20: /* COLD, PAGEOUT */
    case 21:
        return 0;
    case 4:
        return memory_errno(motor_advise(address, length, MOTOR_ADVISE_DONTNEED));
    case 8:
        return memory_errno(motor_advise(address, length, MOTOR_ADVISE_FREE));
    case 10: /* DONTFORK, DOFORK */
        return memory_errno(motor_advise(address, length, MOTOR_ADVISE_NOFORK));
    case 11:
        return memory_errno(motor_advise(address, length, MOTOR_ADVISE_FORK));
    case 18: /* WIPEONFORK, KEEPONFORK */
        return memory_errno(motor_advise(address, length, MOTOR_ADVISE_WIPEFORK));
    case 19:
        return memory_errno(motor_advise(address, length, MOTOR_ADVISE_KEEPFORK));
    case 22: /* POPULATE_READ, POPULATE_WRITE */
    case 23:
        return memory_errno(motor_advise(address, length, MOTOR_ADVISE_POPULATE));
    default:
        return -EINVAL;
    }
}

/* Shared file mappings are the page cache itself: what is left is to make it durable. */
long px_sys_msync(void *where, size_t size, int flags)
{
    uint64_t length = size;
    if ((flags & ~7) || (flags & (MS_ASYNC | MS_SYNC)) == (MS_ASYNC | MS_SYNC) ||
        ((uint64_t)where & PAGE_MASK)) {
        return -EINVAL;
    }
    if (!range_ok((uint64_t)where, &length) ||
        !all_mapped((uint64_t)where, (uint64_t)where + length)) {
        return -ENOMEM;
    }
    if (!length || !(flags & MS_SYNC)) { /* it is written back by itself */
        return 0;
    }
    int64_t status = motor_advise((uint64_t)where, length, MOTOR_ADVISE_SYNC);
    return status == -MOTOR_EGONE ? -EIO : memory_errno(status);
}

/* Every page of a mapping counts as resident: nothing is ever paged out. */
long px_sys_mincore(void *where, size_t size, void *vector)
{
    uint64_t length = size;
    uint8_t ones[64];
    if ((uint64_t)where & PAGE_MASK) {
        return -EINVAL;
    }
    if (!range_ok((uint64_t)where, &length) ||
        !all_mapped((uint64_t)where, (uint64_t)where + length)) {
        return -ENOMEM;
    }
    memset(ones, 1, sizeof(ones));
    for (uint64_t pages = length / MOTOR_PAGE_SIZE, done = 0; done < pages;) {
        uint64_t n = PX_MIN(pages - done, sizeof(ones));
        if (px_copy_out((char *)vector + done, ones, n) < 0) {
            return -EFAULT;
        }
        done += n;
    }
    return 0;
}

static long lock_pages(uint64_t address, uint64_t length)
{
    uint64_t start = address & ~PAGE_MASK, limit = px_limit(RLIMIT_MEMLOCK);
    length += address - start;
    if (!range_ok(start, &length)) {
        return -EINVAL;
    }
    if (px_proc()->euid != 0 && length > limit) {
        return limit ? -ENOMEM : -EPERM;
    }
    return length ? memory_errno(motor_advise(start, length, MOTOR_ADVISE_POPULATE)) : 0;
}

long px_sys_mlock(void *where, size_t size)
{
    return lock_pages((uint64_t)where, size);
}

long px_sys_mlock2(void *where, size_t size, int flags)
{
    return flags & ~1 ? -EINVAL : flags ? 0 : lock_pages((uint64_t)where, size);
}

long px_sys_munlock(void *where, size_t size)
{
    uint64_t length = size;
    return range_ok((uint64_t)where & ~PAGE_MASK, &length) ? 0 : -EINVAL;
}

long px_sys_mlockall(int flags)
{
    if (!flags || (flags & ~7) || flags == 4) {
        return -EINVAL;
    }
    /* nothing is ever paged out */
    return px_proc()->euid == 0 || px_limit(RLIMIT_MEMLOCK) ? 0 : -EPERM;
}

long px_sys_munlockall(void)
{
    return 0;
}
