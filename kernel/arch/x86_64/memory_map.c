/* SPDX-License-Identifier: MIT */
/*
 * The kernel's half of every address space, made once: all RAM at PHYSMAP_BASE (2 MiB or 1 GiB
 * pages, never executable), the kernel image page by page (text read-only and executable, constants
 * read-only, data not executable), and a small window for device registers. All global. Page-table
 * frames come from a bump allocator behind the kernel, before frame_init().
 */
#include "early.h"
#include "log.h"

#define PTE_P        1ull
#define PTE_W        2ull
#define PTE_UNCACHED 0x18ull /* PCD PWT */
#define PTE_PS       0x80ull
#define PTE_G        0x100ull
#define PTE_NX       (1ull << 63)

#define SIZE_2M      (1ull << 21)
#define SIZE_1G      (1ull << 30)
#define SIZE_512G    (1ull << 39)
#define IMAGE_TABLES 2u /* the kernel image and its data: at most 4 MiB */
#define DEVICE_BASE  0xffffffffc0000000ull
#define DEVICE_PAGES 512u

extern char kernel_start[], kernel_text_end[], kernel_rodata_end[], kernel_end[];

typedef uint64_t page_table[512] __attribute__((aligned(4096)));
static page_table root, image_pdpt, image_pd, image_pt[IMAGE_TABLES], device_pd, device_pt;
static unsigned device_pages;
static uint64_t bump, bump_start; /* physical */
uint64_t arch_kernel_root;

static uint64_t image_phys(const void *p)
{
    return (uint64_t)p - KERNEL_BASE;
}

bool boot_is_ram(uint64_t start, uint64_t end)
{
    for (uint32_t i = 0; i < boot_params.ranges; i++) {
        const struct boot_range *r = &boot_params.range[i];
        if (r->kind == BOOT_RAM && start >= r->start && end <= r->end && start < end) {
            return true;
        }
    }
    return false;
}

static void *early_frame(void)
{
    uint64_t bundle_end = boot_params.bundle_start + boot_params.bundle_size;
    if (bump + PAGE_SIZE > boot_params.bundle_start && bump < bundle_end) {
        bump = (bundle_end + PAGE_SIZE - 1) & ~(PAGE_SIZE - 1);
    }
    uint64_t at = bump;
    bump += PAGE_SIZE;
    if (boot_is_ram(at, at + PAGE_SIZE)) {
        void *p = phys_to_virt(at); /* below 4 GiB: the boot tables map it */
        __builtin_memset(p, 0, PAGE_SIZE);
        return p;
    }
    klog("motor: boot: too little memory behind the kernel for page tables\n");
    arch_power(MOTOR_POWER_EXIT, 1);
}

static uint64_t *table_of(uint64_t *entry)
{
    if (!*entry) {
        *entry = virt_to_phys(early_frame()) | PTE_P | PTE_W;
    }
    return phys_to_virt(*entry & 0x000ffffffffff000ull);
}

static bool has_1g_pages(void)
{
    uint32_t r[4];
    cpuid(0x80000000u, 0, r);
    if (r[0] < 0x80000001u) {
        return false;
    }
    cpuid(0x80000001u, 0, r);
    return r[3] >> 26 & 1;
}

/* [start, end) of RAM, widened to 2 MiB; 1 GiB pages where a whole one fits. */
static void physmap_add(uint64_t start, uint64_t end, bool big)
{
    start &= ~(SIZE_2M - 1);
    end = (end + SIZE_2M - 1) & ~(SIZE_2M - 1);
    while (start < end && start < SIZE_512G) {
        uint64_t *pdpt = table_of(&root[(PHYSMAP_BASE >> 39) & 511]);
        uint64_t *entry = &pdpt[start >> 30 & 511];
        if (*entry & PTE_PS) { /* mapped already, with the range before */
            start = (start & ~(SIZE_1G - 1)) + SIZE_1G;
        } else if (big && !*entry && start % SIZE_1G == 0 && end - start >= SIZE_1G) {
            *entry = start | PTE_P | PTE_W | PTE_PS | PTE_G | PTE_NX;
            start += SIZE_1G;
        } else {
            table_of(entry)[start >> 21 & 511] = start | PTE_P | PTE_W | PTE_PS | PTE_G | PTE_NX;
            start += SIZE_2M;
        }
    }
}

static uint64_t image_flags(uint64_t va)
{
    if (va < (uint64_t)kernel_text_end) {
        return PTE_P | PTE_G;
    }
    return va < (uint64_t)kernel_rodata_end ? PTE_P | PTE_G | PTE_NX
                                            : PTE_P | PTE_W | PTE_G | PTE_NX;
}

static void image_map(void)
{
    _Static_assert(IMAGE_TABLES <= 512, "one page directory");
    if ((uint64_t)kernel_end - KERNEL_BASE > IMAGE_TABLES * SIZE_2M) {
        panic("the kernel image is larger than its page tables");
    }
    for (unsigned i = 0; i < IMAGE_TABLES; i++) {
        image_pd[i] = image_phys(image_pt[i]) | PTE_P | PTE_W;
    }
    for (uint64_t va = (uint64_t)kernel_start; va < (uint64_t)kernel_end; va += PAGE_SIZE) {
        image_pt[va >> 21 & 511][va >> 12 & 511] = (va - KERNEL_BASE) | image_flags(va);
    }
    image_pdpt[510] = image_phys(image_pd) | PTE_P | PTE_W;
    image_pdpt[511] = image_phys(device_pd) | PTE_P | PTE_W;
    device_pd[0] = image_phys(device_pt) | PTE_P | PTE_W;
    root[511] = image_phys(image_pdpt) | PTE_P | PTE_W;
}

void memory_map_init(void)
{
    bool big = has_1g_pages();
    bump_start = bump = image_phys(kernel_end);
    for (uint32_t i = 0; i < boot_params.ranges; i++) {
        if (boot_params.range[i].kind == BOOT_RAM) {
            physmap_add(boot_params.range[i].start, boot_params.range[i].end, big);
        }
    }
    image_map();
    arch_kernel_root = image_phys(root);
    __asm__ volatile("mov %0, %%cr3" : : "r"(arch_kernel_root) : "memory");
}

static bool touches_ram(uint64_t start, uint64_t end)
{
    for (uint32_t i = 0; i < boot_params.ranges; i++) {
        const struct boot_range *r = &boot_params.range[i];
        if (r->kind == BOOT_RAM && start < r->end && end > r->start) {
            return true;
        }
    }
    return false;
}

void *device_map(uint64_t paddr, uint64_t size)
{
    uint64_t first = paddr & ~(PAGE_SIZE - 1), last = (paddr + size - 1) & ~(PAGE_SIZE - 1);
    unsigned start = device_pages, n = (unsigned)((last - first) / PAGE_SIZE) + 1;
    if (!size || last < first || last >> 40 || n > DEVICE_PAGES - device_pages ||
        touches_ram(first, last + PAGE_SIZE)) {
        return NULL;
    }
    for (unsigned i = 0; i < n; i++) {
        device_pt[start + i] =
            (first + i * PAGE_SIZE) | PTE_P | PTE_W | PTE_UNCACHED | PTE_G | PTE_NX;
    }
    device_pages += n;
    return (void *)(DEVICE_BASE + start * PAGE_SIZE + (paddr - first));
}

/* Cut [from, to) out of every range; a range may become two. */
static unsigned cut(struct boot_range *out, unsigned n, unsigned max, uint64_t from, uint64_t to)
{
    for (unsigned i = 0; i < n; i++) {
        struct boot_range *r = &out[i];
        if (to <= r->start || from >= r->end) {
            continue;
        }
        if (from > r->start && to < r->end) {
            if (n < max) {
                out[n++] = (struct boot_range){to, r->end, BOOT_RAM};
            }
            r->end = from;
        } else if (from <= r->start) {
            r->start = to < r->end ? to : r->end;
        } else {
            r->end = from;
        }
    }
    return n;
}

unsigned arch_boot_memory(struct boot_range *out, unsigned max)
{
    unsigned n = 0, kept = 0;
    for (uint32_t i = 0; i < boot_params.ranges && n < max; i++) {
        if (boot_params.range[i].kind == BOOT_RAM && boot_params.range[i].start < SIZE_512G) {
            out[n] = boot_params.range[i];
            out[n].end = out[n].end < SIZE_512G ? out[n].end : SIZE_512G;
            n++;
        }
    }
    uint64_t bundle_end =
        (boot_params.bundle_start + boot_params.bundle_size + PAGE_SIZE - 1) & ~(PAGE_SIZE - 1);
    n = cut(out, n, max, 0, BOOT_LOW_RESERVED);
    n = cut(out, n, max, image_phys(kernel_start), image_phys(kernel_end));
    n = cut(out, n, max, bump_start, bump);
    n = cut(out, n, max, boot_params.bundle_start, bundle_end);
    for (unsigned i = 0; i < n; i++) {
        if (out[i].end > out[i].start) {
            out[kept++] = out[i];
        }
    }
    return kept;
}
