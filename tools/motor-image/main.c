/* SPDX-License-Identifier: MIT */
/*
 * motor-image: packages and the base system -> a disk that boots by UEFI, by a BIOS and by PVH.
 *
 *   contents -> identifiers -> sizes -> EFI system partition, root file system -> tables, loader
 *
 * The image is written under another name and put in its place when it is whole.
 */
#include "image.h"

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define DISK_LEAST     (64ull * MIB)
#define BIOS_START     (64ull * SECTOR)
#define BIOS_LENGTH    (64ull * SECTOR) /* what the second stage may be */
#define BACKUP_SECTORS 33u              /* of the table at the disk's end */
#define EPOCH          "946684800"      /* 2000-01-01, where SOURCE_DATE_EPOCH says nothing */

static struct image image;

static void clean_up(void)
{
    if (image.disk_path)
        unlink(image.disk_path);
    if (image.folder)
        run("rm", "-rf", image.folder, NULL);
    image.folder = image.disk_path = NULL;
}

void die(const char *format, ...)
{
    va_list args;
    va_start(args, format);
    fputs("motor-image: ", stderr);
    vfprintf(stderr, format, args);
    fputc('\n', stderr);
    va_end(args);
    static bool dying; /* by what cleaning up does */
    if (!dying) {
        dying = true;
        clean_up();
    }
    exit(1);
}

static uint64_t round_up(uint64_t n, uint64_t unit)
{
    return (n + unit - 1) / unit * unit;
}

/* Where each partition lies. The root is last, so that it can grow with the disk. */
static uint64_t lay_out(void)
{
    uint64_t esp = round_up(esp_size(&image), MIB), root = root_size(&image),
             tail = (uint64_t)BACKUP_SECTORS * SECTOR, size = image.options->size;
    image.start[PART_BIOS] = BIOS_START;
    image.length[PART_BIOS] = BIOS_LENGTH;
    image.start[PART_ESP] = MIB;
    image.length[PART_ESP] = esp;
    image.start[PART_ROOT] = MIB + esp;
    uint64_t least = round_up(MIB + esp + root + tail, MIB);
    if (!size)
        size = 2 * least > DISK_LEAST ? 2 * least : DISK_LEAST;
    if (size < least)
        die("the contents need a disk of %llu MiB at least", (unsigned long long)(least / MIB));
    image.length[PART_ROOT] = round_up(size - tail - image.start[PART_ROOT] - MIB + 1, MIB);
    return size;
}

static void begin(void)
{
    const char *tmp = getenv("TMPDIR");
    char *folder = path_of("%s/motor-image-XXXXXX", tmp && *tmp ? tmp : "/tmp");
    if (!mkdtemp(folder))
        die("%s: %s", folder, strerror(errno));
    image.folder = folder;
    image.root = bundle_new();
    char *base = sdk_file("share/motor/base.bundle");
    if (!bundle_add_bundle(image.root, base))
        die("%s", bundle_error(image.root));
    free(base);
}

static void disk_open(uint64_t size)
{
    char *path = path_of("%s.%d.new", image.options->out, (int)getpid());
    image.disk = open(path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
    if (image.disk < 0)
        die("%s: %s", path, strerror(errno));
    image.disk_path = path;
    if (ftruncate(image.disk, (off_t)size))
        die("%s: %s", path, strerror(errno));
}

static void disk_finish(void)
{
    const char *out = image.options->out;
    if (close(image.disk))
        die("%s: %s", image.disk_path, strerror(errno));
    if (image.options->qcow2) {
        char *converted = path_of("%s.qcow2", image.disk_path);
        run("qemu-img", "convert", "-q", "-f", "raw", "-O", "qcow2", image.disk_path, converted,
            NULL);
        if (rename(converted, image.disk_path))
            die("%s: %s", converted, strerror(errno));
        free(converted);
    }
    if (rename(image.disk_path, out))
        die("%s: %s", out, strerror(errno));
    free(image.disk_path);
    image.disk_path = NULL;
}

/* One time for everything that has one, for our own use and for those that we run. */
static void set_time(void)
{
    const char *epoch = getenv("SOURCE_DATE_EPOCH");
    if (!epoch || !*epoch)
        epoch = EPOCH;
    if (strspn(epoch, "0123456789") != strlen(epoch))
        die("SOURCE_DATE_EPOCH is not a number of seconds");
    setenv("SOURCE_DATE_EPOCH", epoch, 1);
    setenv("E2FSPROGS_FAKE_TIME", epoch, 1);
    setenv("TZ", "UTC", 1);
}

int main(int argc, char **argv)
{
    static struct options options;
    options_parse(&options, argc, argv);
    image.options = &options;
    umask(022);
    set_time();
    begin();
    for (size_t i = 0; i < options.package_count; i++)
        package_add(&image, options.packages[i]);
    boot_make(&image);
    uint64_t size = lay_out();
    disk_open(size);
    root_make(&image);
    esp_make(&image);
    gpt_make(&image);
    disk_finish();
    domain_make(&image);
    clean_up();
    printf("%s: %llu MiB, of which %.1f MiB are content\n", options.out,
           (unsigned long long)(size / MIB), (double)image.content / MIB);
    return 0;
}
