// SPDX-License-Identifier: EUPL-1.2
/*
 * Preloaded into a process (LD_PRELOAD), this writes down what the process asks of the disk, and changes nothing of it:
 * writes, cuts, flushes, new and removed names of files and folders in FORGETFUL_FOLDER go to the file FORGETFUL_LOG, in
 * the order in which they happen. So does what it says on standard output: what it promised by then.
 * `tests/storage/disk.py` reads the log and builds from it what a power cut may leave.
 *
 * One lock is held over each change and its record. A flush is recorded when it begins and when it is done: what was
 * written before the first is durable from the second on.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

struct head { // in front of each record; its path and its data follow
    uint32_t kind, path;
    uint64_t inode, offset, data;
};

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static int sink = -1;
static char folder[PATH_MAX];

#define REAL(name) ((__typeof__(&name))real(#name))

static void *real(const char *name) {
    void *found = dlsym(RTLD_NEXT, name);
    if (!found) {
        abort();
    }
    return found;
}

__attribute__((constructor)) static void begin(void) {
    const char *log = getenv("FORGETFUL_LOG"), *below = getenv("FORGETFUL_FOLDER");
    if (log && below && realpath(below, folder)) {
        sink = (int)syscall(SYS_openat, AT_FDCWD, log, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0600);
    }
    if (sink < 0) {
        abort(); // a test that records nothing would find nothing
    }
}

static void record(char kind, const char *path, uint64_t inode, uint64_t offset, const void *data, size_t length) {
    struct head head = {(uint32_t)kind, (uint32_t)strlen(path), inode, offset, length};
    struct iovec parts[] = {{&head, sizeof head}, {(void *)path, head.path}, {(void *)data, length}};
    int error = errno;
    if (syscall(SYS_writev, sink, parts, 3) != (ssize_t)(sizeof head + head.path + length)) {
        abort();
    }
    errno = error;
}

static int inside(const char *path) {
    size_t length = strlen(folder);
    return !strncmp(path, folder, length) && (!path[length] || path[length] == '/');
}

/* The path and the inode of an open file in the folder; 0 for every other. */
static int ours(int fd, char *path, uint64_t *inode) {
    char link[64];
    struct stat found;
    int error = errno;
    snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    ssize_t length = readlink(link, path, PATH_MAX - 1);
    path[length < 0 ? 0 : length] = 0;
    int is = inside(path) && !fstat(fd, &found);
    *inode = is ? found.st_ino : 0;
    errno = error;
    return is;
}

static ssize_t wrote(int fd, const void *data, ssize_t written, off64_t at) {
    char path[PATH_MAX];
    uint64_t inode;
    if (written > 0 && fd == STDOUT_FILENO) {
        record('A', "", 0, 0, data, (size_t)written);
    } else if (written > 0 && ours(fd, path, &inode)) {
        if (at < 0) {
            at = lseek64(fd, 0, SEEK_CUR) - written;
        }
        record('W', path, inode, (uint64_t)at, data, (size_t)written);
    }
    return written;
}

ssize_t write(int fd, const void *data, size_t length) {
    char path[PATH_MAX];
    uint64_t inode;
    if (fd != STDOUT_FILENO && !ours(fd, path, &inode)) {
        return REAL(write)(fd, data, length); // a pipe may wait, and keeps nobody else waiting
    }
    pthread_mutex_lock(&lock);
    ssize_t written = wrote(fd, data, REAL(write)(fd, data, length), -1);
    pthread_mutex_unlock(&lock);
    return written;
}

ssize_t writev(int fd, const struct iovec *parts, int count) {
    char path[PATH_MAX];
    uint64_t inode;
    if (ours(fd, path, &inode)) {
        abort(); // nobody does; who begins to is to teach this file to take it down
    }
    return REAL(writev)(fd, parts, count);
}

ssize_t pwrite64(int fd, const void *data, size_t length, off64_t at) {
    pthread_mutex_lock(&lock);
    ssize_t written = wrote(fd, data, REAL(pwrite64)(fd, data, length, at), at);
    pthread_mutex_unlock(&lock);
    return written;
}

ssize_t pwrite(int fd, const void *data, size_t length, off_t at) {
    return pwrite64(fd, data, length, at);
}

int ftruncate64(int fd, off64_t size) {
    char path[PATH_MAX];
    uint64_t inode;
    pthread_mutex_lock(&lock);
    int failed = REAL(ftruncate64)(fd, size);
    if (!failed && ours(fd, path, &inode)) {
        record('T', path, inode, (uint64_t)size, "", 0);
    }
    pthread_mutex_unlock(&lock);
    return failed;
}

int ftruncate(int fd, off_t size) {
    return ftruncate64(fd, size);
}

static int flush(int fd, int (*act)(int)) {
    static uint64_t flushes;
    char path[PATH_MAX];
    uint64_t inode;
    if (!ours(fd, path, &inode)) {
        return act(fd);
    }
    pthread_mutex_lock(&lock);
    uint64_t number = (uint64_t)getpid() << 32 | ++flushes;
    record('F', path, inode, number, "", 0);
    pthread_mutex_unlock(&lock);
    int failed = act(fd);
    if (!failed) {
        pthread_mutex_lock(&lock);
        record('D', path, inode, number, "", 0);
        pthread_mutex_unlock(&lock);
    }
    return failed;
}

int fsync(int fd) {
    return flush(fd, REAL(fsync));
}

int fdatasync(int fd) {
    return flush(fd, REAL(fdatasync));
}

static int removed(const char *name, int (*act)(const char *)) {
    char path[PATH_MAX];
    pthread_mutex_lock(&lock);
    int is = realpath(name, path) && inside(path);
    int failed = act(name);
    if (is && !failed) {
        record('U', path, 0, 0, "", 0);
    }
    pthread_mutex_unlock(&lock);
    return failed;
}

int unlink(const char *name) {
    return removed(name, REAL(unlink));
}

int rmdir(const char *name) {
    return removed(name, REAL(rmdir));
}

int mkdir(const char *name, mode_t mode) {
    char path[PATH_MAX];
    struct stat found;
    pthread_mutex_lock(&lock);
    int failed = REAL(mkdir)(name, mode);
    if (!failed && realpath(name, path) && inside(path) && !stat(path, &found)) {
        record('M', path, found.st_ino, 0, "", 0);
    }
    pthread_mutex_unlock(&lock);
    return failed;
}

int rename(const char *from, const char *to) {
    char old[PATH_MAX], new[PATH_MAX];
    pthread_mutex_lock(&lock);
    int is = realpath(from, old) && inside(old);
    int failed = REAL(rename)(from, to);
    if (is && !failed && realpath(to, new)) {
        record('R', old, 0, 0, new, strlen(new));
    }
    pthread_mutex_unlock(&lock);
    return failed;
}

/* Another name of a file that has one; Python links by either call. */
static int linked(const char *from, const char *to, int failed) {
    char old[PATH_MAX], new[PATH_MAX];
    if (!failed && realpath(from, old) && inside(old) && realpath(to, new)) {
        record('L', old, 0, 0, new, strlen(new));
    }
    pthread_mutex_unlock(&lock);
    return failed;
}

int link(const char *from, const char *to) {
    pthread_mutex_lock(&lock);
    return linked(from, to, REAL(link)(from, to));
}

int linkat(int from_at, const char *from, int to_at, const char *to, int flags) {
    pthread_mutex_lock(&lock);
    return linked(from, to, REAL(linkat)(from_at, from, to_at, to, flags));
}

static int opened(int folder_fd, const char *name, int flags, mode_t mode) {
    char path[PATH_MAX];
    uint64_t inode;
    struct stat before;
    if (!(flags & (O_CREAT | O_TRUNC))) {
        return (int)syscall(SYS_openat, folder_fd, name, flags, mode);
    }
    pthread_mutex_lock(&lock);
    int error = errno;
    int fresh = fstatat(folder_fd, name, &before, 0) != 0;
    errno = error;
    int fd = (int)syscall(SYS_openat, folder_fd, name, flags, mode);
    if (fd >= 0 && ours(fd, path, &inode)) {
        if (fresh) {
            record('C', path, inode, 0, "", 0);
        } else if (flags & O_TRUNC) {
            record('T', path, inode, 0, "", 0);
        }
    }
    pthread_mutex_unlock(&lock);
    return fd;
}

#define OPEN(name, folder_fd, ...) \
    int name(__VA_ARGS__) { \
        mode_t mode = 0; \
        if (flags & O_CREAT || (flags & O_TMPFILE) == O_TMPFILE) { \
            va_list rest; \
            va_start(rest, flags); \
            mode = va_arg(rest, mode_t); \
            va_end(rest); \
        } \
        return opened(folder_fd, path, flags, mode); \
    }

OPEN(open, AT_FDCWD, const char *path, int flags, ...)
OPEN(open64, AT_FDCWD, const char *path, int flags, ...)
OPEN(openat, at, int at, const char *path, int flags, ...)
OPEN(openat64, at, int at, const char *path, int flags, ...)
