/* SPDX-License-Identifier: MIT */
/*
 * Loads \motor\kernel, \motor\bundle and, if it is there, \motor\cmdline, ends the firmware's
 * services and enters the kernel as PVH says. Each step that can fail has a line on the console;
 * then the firmware may try what else it can boot.
 */
#include "loader.h"

#include "../load/kernel_file.h"
#include <stdarg.h>

EFI_SYSTEM_TABLE *system_table;

struct handover { /* in memory below 4 GiB */
    struct start_info info;
    struct module bundle;
    char cmdline[2048];
};

void say(const char *first, ...)
{
    va_list args;
    va_start(args, first);
    for (const char *s = first; s; s = va_arg(args, const char *))
        for (; *s; s++) {
            CHAR16 text[3] = {*s == '\n' ? '\r' : (CHAR16)*s, *s == '\n' ? '\n' : 0, 0};
            system_table->ConOut->OutputString(system_table->ConOut, text);
        }
    va_end(args);
}

void complain(const char *what, const char *why)
{
    say("motor: boot: ", what, ": ", why, "\n", NULL);
}

static UINT64 find_rsdp(void)
{
    EFI_GUID wanted[] = {ACPI_20_TABLE_GUID, ACPI_TABLE_GUID};
    for (int g = 0; g < 2; g++)
        for (UINTN i = 0; i < system_table->NumberOfTableEntries; i++) {
            EFI_CONFIGURATION_TABLE *t = &system_table->ConfigurationTable[i];
            if (!__builtin_memcmp(&t->VendorGuid, &wanted[g], sizeof wanted[g]))
                return (UINT64)t->VendorTable;
        }
    return 0;
}

/* The command line's words, on one line. */
static void copy_cmdline(const struct file *file, char *to, UINTN room)
{
    UINTN n = 0;
    for (UINTN i = 0; i < file->size && n + 1 < room; i++)
        to[n++] = file->bytes[i] < ' ' ? ' ' : (char)file->bytes[i];
    to[n] = 0;
}

static BOOLEAN load_kernel(struct kernel_file *kernel)
{
    struct file file;
    if (!file_read(u"\\motor\\kernel", "\\motor\\kernel", FALSE, &file))
        return FALSE;
    const char *error = kernel_file_open(file.bytes, file.size, kernel);
    if (!error && !memory_take_at(kernel->start, kernel->end))
        error = "the firmware uses the memory at its place";
    if (error) {
        complain("\\motor\\kernel", error);
        return FALSE;
    }
    kernel_file_place(kernel, (void *)kernel->start);
    return TRUE;
}

static BOOLEAN load_rest(struct handover *h)
{
    struct file bundle, cmdline;
    if (!file_read(u"\\motor\\bundle", "\\motor\\bundle", FALSE, &bundle))
        return FALSE;
    h->bundle = (struct module){.paddr = (UINT64)bundle.bytes, .size = bundle.size};
    if (file_read(u"\\motor\\cmdline", "\\motor\\cmdline", TRUE, &cmdline))
        copy_cmdline(&cmdline, h->cmdline, sizeof h->cmdline);
    h->info = (struct start_info){.magic = PVH_MAGIC,
                                  .version = 1,
                                  .nr_modules = 1,
                                  .modlist = (UINT64)&h->bundle,
                                  .cmdline = (UINT64)h->cmdline,
                                  .rsdp = find_rsdp()};
    return TRUE;
}

/* The map changes until the moment of the end, and then the firmware refuses: once is usual. */
static BOOLEAN end_services(EFI_HANDLE image, struct start_info *info)
{
    for (int i = 0; i < 4; i++) {
        struct memory_entry *map;
        UINTN key;
        if (!memory_map(&map, &info->memmap_entries, &key))
            return FALSE;
        info->memmap = (UINT64)map;
        if (!EFI_ERROR(system_table->BootServices->ExitBootServices(image, key)))
            return TRUE;
    }
    return FALSE;
}

EFI_STATUS efi_main(EFI_HANDLE image, EFI_SYSTEM_TABLE *table)
{
    struct kernel_file kernel;
    system_table = table;
    say("motor: boot: from a disk, by UEFI\n", NULL);
    struct handover *h = memory_take(sizeof *h, EfiLoaderData);
    unsigned char *enter = memory_take((UINT64)(enter_end - enter_start), EfiLoaderCode);
    if (!h || !enter || !memory_prepare()) {
        complain("memory", "not enough below 4 GiB");
        return EFI_OUT_OF_RESOURCES;
    }
    h->cmdline[0] = 0;
    if (!files_open(image) || !load_kernel(&kernel) || !load_rest(h))
        return EFI_LOAD_ERROR;
    __builtin_memcpy(enter, enter_start, (UINTN)(enter_end - enter_start));
    say("motor: boot: starting\n", NULL);
    if (!end_services(image, &h->info)) {
        complain("the firmware", "it does not let go");
        return EFI_LOAD_ERROR;
    }
    ((enter_function)enter)(kernel.entry, &h->info);
    return EFI_LOAD_ERROR;
}

/* What gnu-efi's start code calls since version 4; its own one, in libefi, would call efi_main. */
EFI_STATUS _entry(EFI_HANDLE image, EFI_SYSTEM_TABLE *table) __attribute__((alias("efi_main")));
