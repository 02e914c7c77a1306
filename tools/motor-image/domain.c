/* SPDX-License-Identifier: MIT */
/*
 * The machine for the image, as libvirt describes one: OUT with .xml for its last suffix, for
 * `virsh define` and virt-manager.
 */
#include "image.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define MEMORY_LEAST (128ull * MIB)

/* Text inside an element or an attribute. */
static void put_text(FILE *f, const char *text)
{
    for (; *text; text++) {
        switch (*text) {
        case '&':
            fputs("&amp;", f);
            break;
        case '<':
            fputs("&lt;", f);
            break;
        case '\'':
            fputs("&apos;", f);
            break;
        default:
            fputc(*text, f);
        }
    }
}

/* "images/nginx.img" -> "images/nginx" */
static char *without_suffix(const char *path)
{
    char *copy = must(strdup(path)), *slash = strrchr(copy, '/'), *dot = strrchr(copy, '.');
    if (dot && dot != copy && (!slash || dot > slash + 1))
        *dot = 0;
    return copy;
}

static void put_ports(FILE *f, const struct image *image)
{
    if (!image->port_count)
        return;
    fputs("  <!-- It listens on:", f);
    for (size_t i = 0; i < image->port_count; i++)
        fprintf(f, " %u/%s", image->ports[i].number, image->ports[i].udp ? "udp" : "tcp");
    fputs(" -->\n", f);
}

static void put_domain(FILE *f, const struct image *image, const char *name, const char *disk)
{
    uint8_t guid[16];
    char uuid[37];
    uint64_t memory = image->memory > MEMORY_LEAST ? image->memory : MEMORY_LEAST;
    image_guid(image, "machine", guid);
    guid_text(guid, uuid);
    fputs("<domain type='kvm'>\n  <name>", f);
    put_text(f, name);
    fprintf(f, "</name>\n  <uuid>%s</uuid>\n", uuid);
    put_ports(f, image);
    fprintf(f,
            "  <memory unit='KiB'>%llu</memory>\n"
            "  <vcpu>1</vcpu>\n"
            "  <os>\n"
            "    <type arch='x86_64' machine='q35'>hvm</type>\n"
            "    <boot dev='hd'/>\n"
            "  </os>\n"
            "  <features>\n    <acpi/>\n    <apic/>\n  </features>\n"
            "  <cpu mode='host-passthrough'/>\n"
            "  <on_poweroff>destroy</on_poweroff>\n"
            "  <on_reboot>restart</on_reboot>\n"
            "  <on_crash>destroy</on_crash>\n"
            "  <devices>\n"
            "    <disk type='file' device='disk'>\n"
            "      <driver name='qemu' type='%s' discard='unmap'/>\n"
            "      <source file='",
            (unsigned long long)memory / 1024, image->options->qcow2 ? "qcow2" : "raw");
    put_text(f, disk);
    fputs(
        "'/>\n"
        "      <target dev='vda' bus='virtio'/>\n"
        "    </disk>\n"
        "    <interface type='network'>\n"
        "      <source network='default'/>\n"
        "      <model type='virtio'/>\n"
        "    </interface>\n"
        "    <serial type='pty'>\n      <target type='isa-serial' port='0'/>\n    </serial>\n"
        "    <console type='pty'>\n      <target type='serial' port='0'/>\n    </console>\n"
        "    <rng model='virtio'>\n      <backend model='random'>/dev/urandom</backend>\n    </rng>\n"
        "  </devices>\n"
        "</domain>\n",
        f);
}

void domain_make(const struct image *image)
{
    char *stem = without_suffix(image->options->out), *path = path_of("%s.xml", stem),
         *slash = strrchr(stem, '/'), *disk = realpath(image->options->out, NULL);
    FILE *f = fopen(path, "w");
    if (!f || !disk)
        die("%s: %s", f ? image->options->out : path, strerror(errno));
    put_domain(f, image, slash ? slash + 1 : stem, disk);
    if (fclose(f))
        die("%s: %s", path, strerror(errno));
    free(disk);
    free(path);
    free(stem);
}
