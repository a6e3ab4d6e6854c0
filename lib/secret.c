/* Secrets; see secret.h.
 *
 * Each is a mapping of its own, which the kernel keeps out of core dumps: there are few, and an
 * allocator would have to be trusted as well. What is compared are digests, that of the secret made
 * beforehand: their comparison and its duration tell neither a length nor a place.
 */
#include "lib/secret.h"

#include "lib/file.h"
#include "lib/reason.h"

#include <errno.h>
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#define DIGEST_BYTES 32 /* SHA-256 */

struct secret {
        size_t size; /* of the mapping */
        size_t length;
        unsigned char digest[DIGEST_BYTES];
        char text[];
};

static bool digest_of(struct bytes text, unsigned char digest[DIGEST_BYTES]) {
        unsigned length = DIGEST_BYTES;

        return EVP_Digest(text.data, text.length, digest, &length, EVP_sha256(), NULL) == 1;
}

/* A mapping with room for that many bytes of text and a NUL; NULL without memory. */
static struct secret *secret_new(size_t length) {
        size_t page = (size_t)sysconf(_SC_PAGESIZE);
        size_t size = (sizeof(struct secret) + length + 1 + page - 1) / page * page;
        struct secret *secret =
                mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

        if (secret == MAP_FAILED)
                return NULL;
        secret->size = size;
        if (madvise(secret, size, MADV_DONTDUMP) < 0)
                return secret_free(secret);
        /* A limit of nothing, as in a container, is no reason not to work. */
        (void)mlock(secret, size);
        return secret;
}

struct secret *secret_free(struct secret *secret) {
        size_t size;

        if (!secret)
                return NULL;
        size = secret->size;
        explicit_bzero(secret, size);
        munmap(secret, size);
        return NULL;
}

/* The text is there. */
static int secret_finish(struct secret *secret, size_t length) {
        secret->length = length;
        secret->text[length] = '\0';
        return digest_of(secret_text(secret), secret->digest) ? 0 : -EIO;
}

int secret_from_text(struct secret **secretp, struct bytes text) {
        struct secret *secret = secret_new(text.length);
        int r;

        if (!secret)
                return -ENOMEM;
        memcpy(secret->text, text.data, text.length);
        r = secret_finish(secret, text.length);
        if (r < 0)
                secret = secret_free(secret);
        *secretp = secret;
        return r;
}

static int check_file(const struct stat *status, char **reasonp) {
        if (status->st_mode & S_IROTH)
                return reason_set(reasonp, -EPERM,
                                  "anyone may read it, so that it is no secret; chmod o-r, and use "
                                  "another secret");
        if (status->st_size == 0)
                return reason_set(reasonp, -ENODATA, "it is empty");
        if ((uint64_t)status->st_size > SECRET_MAX)
                return reason_set(reasonp, -EFBIG, "it is larger than %zuK", SECRET_MAX / 1024);
        return 0;
}

/* Reads a file of that size, straight to where it stays. */
static int secret_read(struct secret *secret, int fd, size_t size, char **reasonp) {
        ssize_t length = file_read(fd, secret->text, size);
        int r;

        if (length < 0)
                return reason_set(reasonp, (int)length, "%s", strerror((int)-length));
        if (memchr(secret->text, '\0', (size_t)length))
                return reason_set(reasonp, -EINVAL, "there is a NUL byte in it");
        if (length > 0 && secret->text[length - 1] == '\n')
                length--;
        if (length == 0)
                return reason_set(reasonp, -ENODATA, "it is empty");
        r = secret_finish(secret, (size_t)length);
        return r < 0 ? reason_set(reasonp, r, "OpenSSL fails") : 0;
}

static int secret_from_fd(struct secret **secretp, int fd, size_t size, char **reasonp) {
        struct secret *secret = secret_new(size);
        int r;

        if (!secret)
                return reason_set(reasonp, -ENOMEM, "no memory");
        r = secret_read(secret, fd, size, reasonp);
        if (r < 0)
                secret = secret_free(secret);
        *secretp = secret;
        return r;
}

int secret_from_file(struct secret **secretp, const char *path, char **reasonp) {
        struct stat status;
        int fd = file_open(path, &status, reasonp), r;

        *secretp = NULL;
        if (fd < 0)
                return fd;
        r = check_file(&status, reasonp);
        if (r == 0)
                r = secret_from_fd(secretp, fd, (size_t)status.st_size, reasonp);
        (void)close(fd);
        return r;
}

int secret_from_credential(struct secret **secretp, const char *path, char **reasonp) {
        char place[PATH_MAX];
        int r = file_locate(place, path, reasonp);

        *secretp = NULL;
        return r < 0 ? r : secret_from_file(secretp, place, reasonp);
}

struct bytes secret_text(const struct secret *secret) {
        return (struct bytes){secret->text, secret->length};
}

bool secret_equals(const struct secret *secret, struct bytes given) {
        unsigned char digest[DIGEST_BYTES];
        bool is_equal = digest_of(given, digest) &&
                        CRYPTO_memcmp(secret->digest, digest, DIGEST_BYTES) == 0;

        OPENSSL_cleanse(digest, sizeof(digest));
        return is_equal;
}
