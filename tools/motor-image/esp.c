/* SPDX-License-Identifier: MIT */
/*
 * The EFI system partition: the UEFI loader, and what both loaders boot. The BIOS loader reads
 * kernel and bundle by their sectors, so each has to lie in one piece.
 */
#include "image.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static char *loader; /* the UEFI loader's file */
static size_t loader_size;

uint64_t esp_size(const struct image *image)
{
    char *path = sdk_file("share/motor/bootx64.efi");
    loader = file_load(path, &loader_size);
    free(path);
    /* and as much again, so that a newer kernel can be put beside the old one */
    return 2 * (image->kernel_size + image->bundle_size + loader_size) + MIB;
}

static void add(const struct image *image, const char *esp, const char *to, const void *data,
                size_t size)
{
    char *file = path_of("%s/file", image->folder);
    file_store(file, data, size);
    run("mcopy", "-i", esp, file, to, NULL);
    free(file);
}

static uint32_t get(const unsigned char *at, int bytes)
{
    uint32_t value = 0;
    memcpy(&value, at, (size_t)bytes);
    return value;
}

/* Where the first cluster of a file is, by the partition's own first sector. */
static uint64_t place_of(const unsigned char *esp, const char *path, const char *name)
{
    char *text = run_output("mshowfat", "-i", path, name, NULL);
    const char *range = strchr(text, '<');
    unsigned cluster;
    if (!range || sscanf(range, "<%u", &cluster) != 1)
        die("mshowfat %s: %s", name, text);
    free(text);
    uint64_t reserved = get(esp + 14, 2), fats = esp[16], root_entries = get(esp + 17, 2),
             fat = get(esp + 22, 2), per_cluster = esp[13];
    if (!fat)
        fat = get(esp + 36, 4);
    uint64_t data = reserved + fats * fat + (root_entries * 32 + SECTOR - 1) / SECTOR;
    return (data + (cluster - 2) * per_cluster) * SECTOR;
}

static uint64_t find(const struct image *image, const char *path, const char *name,
                     const void *contents, size_t size)
{
    size_t esp_bytes;
    char *esp = file_load(path, &esp_bytes);
    uint64_t at = place_of((unsigned char *)esp, path, name);
    if (at > esp_bytes || size > esp_bytes - at || memcmp(esp + at, contents, size))
        die("%s does not lie in one piece", name);
    free(esp);
    return image->start[PART_ESP] + at;
}

void esp_make(struct image *image)
{
    char *esp = path_of("%s/esp", image->folder), serial[16];
    uint8_t guid[16];
    file_store(esp, "", 0);
    if (truncate(esp, (off_t)image->length[PART_ESP]))
        die("%s cannot be made larger", esp);
    image_guid(image, "EFI file system", guid);
    snprintf(serial, sizeof serial, "%02x%02x%02x%02x", guid[0], guid[1], guid[2], guid[3]);
    run("mformat", "-i", esp, "-v", "MOTOR", "-N", serial, "::", NULL);
    run("mmd", "-i", esp, "::/EFI", "::/EFI/BOOT", "::/motor", NULL);
    add(image, esp, "::/EFI/BOOT/BOOTX64.EFI", loader, loader_size);
    add(image, esp, "::/motor/kernel", image->kernel, image->kernel_size);
    add(image, esp, "::/motor/bundle", image->bundle, image->bundle_size);
    add(image, esp, "::/motor/cmdline", image->cmdline, strlen(image->cmdline));
    image->kernel_at = find(image, esp, "::/motor/kernel", image->kernel, image->kernel_size);
    image->bundle_at = find(image, esp, "::/motor/bundle", image->bundle, image->bundle_size);
    size_t size;
    char *bytes = file_load(esp, &size);
    disk_write(image, image->start[PART_ESP], bytes, size);
    image->content += loader_size + image->kernel_size + image->bundle_size;
    free(bytes);
    free(esp);
}
