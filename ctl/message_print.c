/* Messages as text and as JSON. What a message holds is others' input: see message_print.h for what
 * a terminal gets to see of it. */
#include "ctl/message_print.h"

#include <stdlib.h>
#include <string.h>

#include "lib/text.h"

char *message_base64(const void *data, size_t n) {
        static const char digits[] =
                "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
        const unsigned char *bytes = data;
        char *text, *at;

        if (n > SIZE_MAX / 2)
                return NULL;
        text = at = malloc((n + 2) / 3 * 4 + 1);
        if (!text)
                return NULL;
        for (size_t i = 0; i < n; i += 3) {
                unsigned group = (unsigned)bytes[i] << 16;

                group |= i + 1 < n ? (unsigned)bytes[i + 1] << 8 : 0;
                group |= i + 2 < n ? bytes[i + 2] : 0;
                *at++ = digits[group >> 18];
                *at++ = digits[group >> 12 & 63];
                *at++ = i + 1 < n ? digits[group >> 6 & 63] : '=';
                *at++ = i + 2 < n ? digits[group & 63] : '=';
        }
        *at = '\0';
        return text;
}

/* Text that JSON can hold: as it is, or with what is no UTF-8 replaced. */
static json_t *make_text(const char *bytes, size_t n) {
        json_t *value = json_stringn(bytes, n);
        char *copy;

        if (value)
                return value;
        copy = malloc(n + 1);
        if (!copy)
                return NULL;
        memcpy(copy, bytes, n);
        text_make_printable(copy, n);
        value = json_stringn(copy, n);
        free(copy);
        return value;
}

/* A new reference to a name as a terminated string would cut it at a NUL; header names of a
 * hostile peer may have one, and then lose what is behind it. */
static bool add_header(json_t *headers, const char *name, size_t n_name, const char *value,
                       size_t n_value) {
        json_t *key = make_text(name, n_name), *list;
        bool is_done = false;

        if (key) {
                list = json_object_get(headers, json_string_value(key));
                if (!list) {
                        list = json_array();
                        if (json_object_set_new(headers, json_string_value(key), list) < 0)
                                list = NULL;
                }
                is_done = list && json_array_append_new(list, make_text(value, n_value)) == 0;
        }
        json_decref(key);
        return is_done;
}

static json_t *make_headers(const struct sockd_message *message) {
        json_t *headers = json_object();
        const char *name, *value;
        size_t position = 0, n_name, n_value;

        while (headers && sockd_header_next(message, &position, &name, &n_name, &value, &n_value)) {
                if (!add_header(headers, name, n_name, value, n_value)) {
                        json_decref(headers);
                        return NULL;
                }
        }
        return headers;
}

static bool add_payload(json_t *object, const struct sockd_message *message) {
        json_t *payload = json_stringn(message->payload, message->n_payload);
        char *text;

        if (payload)
                return json_object_set_new(object, "payload", payload) == 0;
        text = message_base64(message->payload, message->n_payload);
        if (!text)
                return false;
        payload = json_string(text);
        free(text);
        return json_object_set_new(object, "data_base64", payload) == 0;
}

json_t *message_to_json(const struct sockd_message *message) {
        json_t *object = json_object();
        bool is_done;

        is_done = json_object_set_new(object, "subject",
                                      make_text(message->subject, message->n_subject)) == 0;
        if (is_done && message->reply)
                is_done = json_object_set_new(object, "reply",
                                              make_text(message->reply, message->n_reply)) == 0;
        if (is_done && message->status)
                is_done = json_object_set_new(object, "status", json_integer(message->status)) == 0;
        if (is_done && message->n_headers)
                is_done = json_object_set_new(object, "headers", make_headers(message)) == 0;
        if (is_done && add_payload(object, message))
                return object;
        json_decref(object);
        return NULL;
}

static void print_guarded(FILE *file, const char *bytes, size_t n) {
        for (size_t i = 0; i < n; i++) {
                unsigned char c = (unsigned char)bytes[i];

                if ((c < 0x20 && c != '\n' && c != '\t') || c == 0x7f)
                        fprintf(file, "\\x%02x", c);
                else
                        fputc(c, file);
        }
}

static void print_bytes(struct context *context, const char *bytes, size_t n) {
        if (context->is_terminal)
                print_guarded(context->out, bytes, n);
        else if (n > 0)
                fwrite(bytes, 1, n, context->out);
}

static void print_headers(struct context *context, const struct sockd_message *message) {
        const char *name, *value;
        size_t position = 0, n_name, n_value, n = 0;

        while (sockd_header_next(message, &position, &name, &n_name, &value, &n_value)) {
                print_bytes(context, name, n_name);
                fputs(": ", context->out);
                print_bytes(context, value, n_value);
                fputc('\n', context->out);
                n++;
        }
        if (n > 0)
                fputc('\n', context->out);
}

int message_print(struct context *context, const struct sockd_message *message, bool *is_gonep) {
        const char *payload = message->payload;
        size_t n = message->n_payload;

        if (context->options->json) {
                json_t *object = message_to_json(message);
                int code = context_print_json_line(context, object);

                *is_gonep = ferror(context->out);
                return code;
        }
        if (context->options->show_headers)
                print_headers(context, message);
        print_bytes(context, payload, n);
        if (n == 0 || payload[n - 1] != '\n')
                fputc('\n', context->out);
        return context_flush(context, is_gonep);
}
