/* SPDX-License-Identifier: MIT */
/*
 * A file system in memory, to which the same random operations are done as to ext4, and with which
 * it is compared: each errno, and at any time all names, attributes and bytes.
 */
#ifndef TEST_EXT4_MODEL_H
#define TEST_EXT4_MODEL_H

#include "disk.h"

#define MODEL_ATTRS 4u /* names of extended attributes that there are */

enum mtype { MODEL_FILE, MODEL_DIR, MODEL_LINK };

struct mnode;
struct mentry {
    char name[256];
    struct mnode *node;
};
struct mnode {
    enum mtype type;
    uint32_t nlink, id;
    uint64_t size;
    uint8_t *data; /* of files and symlinks */
    struct mentry *entries;
    uint32_t count, room;
    struct mnode *parent;
    uint32_t attrs[MODEL_ATTRS]; /* each one's tag, which tells its value; 0: it is not there */
};

struct model {
    struct mnode *root;
    uint32_t next_id;
    uint32_t names;    /* how many different names there are */
    uint32_t file_max; /* bytes */
    /* how often each kind of operation comes, in percent; all 0: a mixture */
    struct model_weights {
        uint8_t create, unlink, rename, link, attr, file;
    } weights;
    uint32_t files;  /* of so many new inodes, one is no file; 0: 6 */
    uint32_t writes; /* of so many operations on files, one is no write; 0: 4 */
    /*
     * Files are only appended to or cut, and each byte follows from the file's id and its place: so
     * every state of a file's size tells its bytes.
     */
    bool append_only;
};

void model_init(struct model *m);
void model_free(struct model *m);
/* One random operation on both; ends the test when they differ. Result: what it was. */
const char *model_step(struct model *m, struct ext4 *fs);
/* All names, attributes and bytes are the same. */
void model_compare(const struct model *m, struct ext4 *fs);
/* A number for all names, types, sizes and links of the model, and the same of a file system. */
uint64_t model_hash(const struct model *m);
/* bytes_too: of append-only files, they are what their place says. */
uint64_t tree_hash(struct ext4 *fs, bool bytes_too);
uint8_t model_byte(uint32_t id, uint64_t at);
/* One of the node's attributes is set or removed, in both; `serial` is of this step alone. */
void model_attr_step(struct mnode *m, struct ext4_node *n, uint32_t serial);
/* The tags of the attributes that a node has; ends the test when a value is not its tag's. */
void model_attrs_read(struct ext4_node *n, uint32_t tags[MODEL_ATTRS]);

#endif
