/* SPDX-License-Identifier: MIT */
/* Mapping a runtime image into a fresh process: see <motor/process.h>. */
#include <motor/process.h>
#include <motor/syscall.h>

#define PAGE         ((uint64_t)MOTOR_PAGE_SIZE)
#define SEGMENTS_MAX 12u
#define ADDRESS_MAX  (1ull << 32) /* the image's own addresses */

struct elf_header {
    uint8_t ident[16];
    uint16_t type, machine;
    uint32_t version;
    uint64_t entry, phoff, shoff;
    uint32_t flags;
    uint16_t ehsize, phentsize, phnum, shentsize, shnum, shstrndx;
};
struct elf_segment {
    uint32_t type, flags;
    uint64_t offset, vaddr, paddr, filesz, memsz, align;
};
_Static_assert(sizeof(struct elf_header) == 64 && sizeof(struct elf_segment) == 56, "ELF");
enum { ET_DYN = 3, EM_X86_64 = 62, PT_LOAD = 1, PT_INTERP = 3, PF_X = 1, PF_W = 2, PF_R = 4 };

static uint64_t page_down(uint64_t n)
{
    return n & ~(PAGE - 1);
}

static uint64_t page_up(uint64_t n)
{
    return page_down(n + PAGE - 1);
}

static int64_t read_exactly(motor_handle vmo, uint64_t offset, void *to, uint64_t size)
{
    int64_t n = motor_vmo_control(vmo, MOTOR_VMO_READ, offset, size, to);
    return n < 0 ? n : (uint64_t)n == size ? 0 : -MOTOR_EINVAL;
}

/*
 * Reads and checks the headers; the loadable segments are moved to the front. Result: how many
 * there are.
 */
static int64_t read_headers(motor_handle vmo, uint64_t size, struct elf_header *h,
                            struct elf_segment *segments)
{
    /* 64-bit, little-endian, version 1 */
    static const uint8_t ident[7] = {0x7f, 'E', 'L', 'F', 2, 1, 1};
    int64_t count = 0;
    if (size < sizeof *h || read_exactly(vmo, 0, h, sizeof *h))
        return -MOTOR_EINVAL;
    for (unsigned i = 0; i < sizeof ident; i++)
        if (h->ident[i] != ident[i])
            return -MOTOR_EINVAL;
    if (h->type != ET_DYN || h->machine != EM_X86_64 || h->phentsize != sizeof *segments ||
        !h->phnum || h->phnum > SEGMENTS_MAX || h->phoff > size ||
        h->phnum * sizeof *segments > size - h->phoff)
        return -MOTOR_EINVAL;
    if (read_exactly(vmo, h->phoff, segments, h->phnum * sizeof *segments))
        return -MOTOR_EINVAL;
    uint64_t end = 0;
    for (unsigned i = 0; i < h->phnum; i++) {
        const struct elf_segment s = segments[i];
        if (s.type == PT_INTERP)
            return -MOTOR_EINVAL;
        if (s.type != PT_LOAD || !s.memsz)
            continue;
        if (s.vaddr > ADDRESS_MAX || s.memsz > ADDRESS_MAX || s.filesz > s.memsz ||
            s.offset > size || s.filesz > size - s.offset || (s.offset - s.vaddr) % PAGE ||
            page_down(s.vaddr) < end || (s.flags & (PF_W | PF_X)) == (PF_W | PF_X))
            return -MOTOR_EINVAL;
        end = page_up(s.vaddr + s.memsz);
        segments[count++] = s;
    }
    return count ? count : -MOTOR_EINVAL;
}

static int64_t map_at(motor_handle process, motor_handle vmo, uint64_t offset, uint64_t address,
                      uint64_t length, uint32_t flags)
{
    int64_t status = motor_map(process, vmo, offset, address, length, flags | MOTOR_MAP_FIXED);
    return status < 0 ? status : 0;
}

/*
 * The last page that holds bytes of the file, when it must be zero behind them: a copy of its own.
 */
static int64_t map_last_page(motor_handle process, motor_handle vmo, uint64_t offset,
                             uint64_t address, uint64_t used, uint32_t flags)
{
    static const uint8_t zeros[256];
    int64_t page = motor_vmo_clone(vmo, offset, PAGE), status = 0;
    if (page < 0)
        return page;
    while (used < PAGE && status >= 0) {
        uint64_t n = PAGE - used < sizeof zeros ? PAGE - used : sizeof zeros;
        status = motor_vmo_control((motor_handle)page, MOTOR_VMO_WRITE, used, n,
                                   (void *)(uintptr_t)zeros);
        used += n;
    }
    if (status >= 0)
        status = map_at(process, (motor_handle)page, 0, address, PAGE, flags);
    motor_handle_close((motor_handle)page);
    return status;
}

static int64_t map_segment(motor_handle process, motor_handle vmo, uint64_t base,
                           const struct elf_segment *s)
{
    uint32_t flags = (s->flags & PF_R ? MOTOR_PROT_READ : 0) |
                     (s->flags & PF_W ? MOTOR_PROT_WRITE | MOTOR_MAP_PRIVATE : 0) |
                     (s->flags & PF_X ? MOTOR_PROT_EXEC : 0);
    uint64_t start = page_down(s->vaddr), file_end = s->vaddr + s->filesz,
             end = page_up(s->vaddr + s->memsz);
    /* taken from the file as it is */
    uint64_t whole = s->memsz > s->filesz ? page_down(file_end) : page_up(file_end);
    uint64_t offset = page_down(s->offset), at = start;
    int64_t status = 0;
    if (whole > start)
        status = map_at(process, vmo, offset, base + start, whole - start, flags);
    if (whole > at)
        at = whole;
    if (!status && at < file_end) {
        status =
            map_last_page(process, vmo, offset + (at - start), base + at, file_end - at, flags);
        at += PAGE;
    }
    if (!status && at < end)
        status = map_at(process, 0, 0, base + at, end - at,
                        (flags & MOTOR_PROT_MASK) | MOTOR_MAP_PRIVATE);
    return status;
}

int64_t motor_image_map(motor_handle process, motor_handle vmo, uint64_t size, uint64_t where,
                        struct motor_image *image)
{
    struct elf_header h;
    struct elf_segment segments[SEGMENTS_MAX];
    int64_t count = read_headers(vmo, size, &h, segments);
    if (count < 0)
        return count;
    uint64_t first = page_down(segments[0].vaddr);
    uint64_t end = page_up(segments[count - 1].vaddr + segments[count - 1].memsz);
    if (h.entry < first || h.entry >= end)
        return -MOTOR_EINVAL;
    /* no access: holds the place */
    int64_t place =
        motor_map(process, 0, 0, where ? where + first : 0, end - first, MOTOR_MAP_PRIVATE);
    if (place < 0)
        return place;
    uint64_t base = (uint64_t)place - first;
    for (int64_t i = 0; i < count; i++) {
        int64_t status = map_segment(process, vmo, base, &segments[i]);
        if (status < 0)
            return status;
    }
    *image = (struct motor_image){.base = base, .entry = base + h.entry, .end = base + end};
    return 0;
}

int64_t motor_process_prepare(motor_handle process, motor_handle runtime, uint64_t runtime_size,
                              uint64_t where, motor_handle block, uint64_t block_size,
                              struct motor_thread_start *start)
{
    struct motor_image image;
    int64_t status = motor_image_map(process, runtime, runtime_size, where, &image);
    if (status < 0)
        return status;
    int64_t at = motor_map(process, block, 0, 0, page_up(block_size),
                           MOTOR_PROT_READ | MOTOR_PROT_WRITE | MOTOR_MAP_PRIVATE);
    if (at < 0)
        return at;
    int64_t stack =
        motor_map(process, 0, 0, 0, MOTOR_START_STACK,
                  MOTOR_PROT_READ | MOTOR_PROT_WRITE | MOTOR_MAP_PRIVATE | MOTOR_MAP_STACK);
    if (stack < 0)
        return stack;
    *start = (struct motor_thread_start){
        .rip = image.entry,
        .rsp = (uint64_t)stack + MOTOR_START_STACK - 8, /* as after a call */
        .arg = {(uint64_t)at, image.base, 0},
    };
    return 0;
}
