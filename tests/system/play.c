/*
 * The meaning of a script. First come the settings, which say for whom the scenario is and how the
 * server is configured; then the server starts; then the other directives are acted out one by one.
 *
 *     only sockd|nats-server|unix|tcp REASON     skip everywhere else
 *     config KEY VALUE                           a server setting, by sockd's name
 *     sockd-config TEXT, nats-config TEXT        lines for the end of that server's file
 *     listener NAME TRANSPORT TEXT               one more listener, with these settings (sockd)
 *     split-everywhere CLIENT                    play again for each byte of what CLIENT sends, cut
 *                                                in two there
 *
 * A client is named by a capital letter and what follows; C[1..50] is fifty clients that do the
 * same one after the other. ${i} is the number of such a client, ${A.key} a value of the INFO that
 * client A got last.
 */
#include "play.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "script.h"
#include "verb.h"

#define LOG_LINES_SHOWN 30

struct play {
        struct scene scene;
        struct script script;
        struct bytes skip_reason;
        size_t first_act; /* the first directive that is no setting */
};

/* Settings. */

static bool only_applies(const struct server_config *config, const struct bytes *word) {
        if (bytes_equal_text(word, "sockd"))
                return config->kind == SERVER_SOCKD;
        if (bytes_equal_text(word, "nats-server"))
                return config->kind == SERVER_NATS;
        if (bytes_equal_text(word, "unix"))
                return config->transport == TRANSPORT_UNIX;
        return config->transport == TRANSPORT_TCP || config->transport == TRANSPORT_TLS;
}

static bool set_only(struct play *play, const struct directive *directive) {
        const struct bytes *who = &directive->words[1];

        if (directive->n_words != 3 ||
            !(bytes_equal_text(who, "sockd") || bytes_equal_text(who, "nats-server") ||
              bytes_equal_text(who, "unix") || bytes_equal_text(who, "tcp")))
                return scene_fail(&play->scene, "only sockd|nats-server|unix|tcp REASON");
        if (!only_applies(&play->scene.server.config, who) && !play->skip_reason.length)
                bytes_append_format(&play->skip_reason, "only %s: %s", bytes_text(who),
                                    bytes_text(&directive->words[2]));
        return true;
}

static bool set_config(struct play *play, const struct directive *directive) {
        if (directive->n_words != 3)
                return scene_fail(&play->scene, "config KEY VALUE");
        return server_config_set(&play->scene.server.config, bytes_text(&directive->words[1]),
                                 bytes_text(&directive->words[2])) ||
               scene_fail(&play->scene, "too many settings");
}

static bool set_extra(struct play *play, const struct directive *directive) {
        struct server_config *config = &play->scene.server.config;
        bool is_for_sockd = bytes_equal_text(&directive->words[0], "sockd-config");

        if (directive->n_words != 2)
                return scene_fail(&play->scene, "sockd-config TEXT, nats-config TEXT");
        if (is_for_sockd == (config->kind == SERVER_SOCKD))
                bytes_append_format(&config->extra, "%s\n", bytes_text(&directive->words[1]));
        return true;
}

static bool set_listener(struct play *play, const struct directive *directive) {
        enum server_transport transport =
                directive->n_words == 4 ? server_transport_find(bytes_text(&directive->words[2]))
                                        : N_TRANSPORTS;

        if (transport == N_TRANSPORTS)
                return scene_fail(&play->scene, "listener NAME unix|tcp|unix+seqpacket TEXT");
        return server_config_add_listener(&play->scene.server.config,
                                          bytes_text(&directive->words[1]),
                                          transport,
                                          bytes_text(&directive->words[3])) ||
               scene_fail(&play->scene, "too many listeners");
}

static bool set_cut(struct play *play, const struct directive *directive) {
        const struct bytes *name = &directive->words[1];

        if (directive->n_words != 2)
                return scene_fail(&play->scene, "split-everywhere CLIENT");
        bytes_append(&play->scene.cut_client, bytes_text(name), name->length);
        return true;
}

static const struct {
        const char *name;
        bool (*set)(struct play *play, const struct directive *directive);
} settings[] = {
        /* clang-format off */
        { "only", set_only },
        { "config", set_config },
        { "sockd-config", set_extra },
        { "nats-config", set_extra },
        { "listener", set_listener },
        { "split-everywhere", set_cut },
        /* clang-format on */
};

/* Applies one directive if it is a setting. */
static bool play_set(struct play *play, const struct directive *directive, bool *is_settingp) {
        for (size_t i = 0; i < sizeof(settings) / sizeof(*settings); i++) {
                *is_settingp = bytes_equal_text(&directive->words[0], settings[i].name);
                if (*is_settingp)
                        return settings[i].set(play, directive);
        }
        return true;
}

/* Variables. */

/* Appends the value of ${name}. */
static bool variable_append(struct scene *scene, const char *name, size_t index,
                            struct bytes *output) {
        const char *dot = strchr(name, '.');
        BYTES_DEINIT struct bytes client_name = {};
        const struct client *client;
        const json_t *value;

        if (strcmp(name, "i") == 0) {
                bytes_append_format(output, "%zu", index);
                return true;
        }
        bytes_append(&client_name, name, dot ? (size_t)(dot - name) : strlen(name));
        client = scene_find_client(scene, client_name.data);
        value = client && dot ? json_object_get(client->info, dot + 1) : NULL;
        if (json_is_string(value))
                bytes_append_text(output, json_string_value(value));
        else if (json_is_integer(value))
                bytes_append_format(output, "%" JSON_INTEGER_FORMAT, json_integer_value(value));
        else
                return scene_fail(scene, "no variable %s", name);
        return true;
}

static bool word_expand(struct scene *scene, const struct bytes *word, size_t index,
                        struct bytes *output) {
        const char *at = bytes_text(word), *end = at + word->length;
        const char *start, *stop;

        while ((start = memmem(at, (size_t)(end - at), "${", 2)) &&
               (stop = memchr(start, '}', (size_t)(end - start)))) {
                BYTES_DEINIT struct bytes name = {};

                bytes_append(output, at, (size_t)(start - at));
                bytes_append(&name, start + 2, (size_t)(stop - start - 2));
                if (!variable_append(scene, name.data, index, output))
                        return false;
                at = stop + 1;
        }
        bytes_append(output, at, (size_t)(end - at));
        return true;
}

/* Acts. */

static bool act_once(struct scene *scene, const struct verb *verb, struct client *client,
                     const struct directive *directive, size_t n_skipped, size_t index) {
        struct bytes items[WORDS_MAX] = {};
        struct words words = { directive->n_words - n_skipped, items };
        bool fine = true;

        for (size_t i = 0; fine && i < words.n; i++)
                fine = word_expand(scene, &directive->words[n_skipped + i], index, &items[i]);
        if (fine) {
                scene_start_clock(scene);
                fine = verb->act(scene, client, &words);
        }
        for (size_t i = 0; i < words.n; i++)
                bytes_deinit(&items[i]);
        return fine;
}

static bool act_fits(struct scene *scene, const struct verb *verb,
                     const struct directive *directive, size_t n_skipped) {
        size_t n_words = directive->n_words - n_skipped;

        if (!verb)
                return scene_fail(scene, "no such verb");
        if (n_words < verb->n_words_min || n_words > verb->n_words_max)
                return scene_fail(scene, "%s: wrong number of words", verb->name);
        return true;
}

/* A client's name, or several as in C[1..50]. */
struct name_range {
        struct bytes name;
        bool is_range;
        unsigned first, last;
};

static bool name_range_read(struct name_range *range, const struct bytes *word) {
        const char *text = bytes_text(word), *bracket = strchr(text, '[');
        int length = 0;

        if (!isupper((unsigned char)*text))
                return false;
        bytes_append(&range->name, text, bracket ? (size_t)(bracket - text) : word->length);
        range->first = range->last = 1;
        range->is_range = bracket;
        if (!bracket)
                return true;
        return sscanf(bracket, "[%u..%u]%n", &range->first, &range->last, &length) == 2 &&
               !bracket[length] && range->first <= range->last && range->last <= STAGE_CLIENTS_MAX;
}

static void name_range_format(const struct name_range *range, unsigned index,
                              struct bytes *output) {
        bytes_append_text(output, bytes_text(&range->name));
        if (range->is_range)
                bytes_append_format(output, "%u", index);
}

/* "A verb …": each client of the range in turn. */
static bool act_of_clients(struct scene *scene, const struct directive *directive) {
        const struct verb *verb = NULL;
        struct name_range range = {};
        bool fine;

        if (directive->n_words > 1)
                verb = verb_find_for_client(bytes_text(&directive->words[1]));
        fine = act_fits(scene, verb, directive, 2) &&
               (name_range_read(&range, &directive->words[0]) || scene_fail(scene, "bad name"));
        for (unsigned i = range.first; fine && i <= range.last; i++) {
                BYTES_DEINIT struct bytes name = {};
                struct client *client;

                name_range_format(&range, i, &name);
                client = scene_find_client(scene, name.data);
                fine = client ? act_once(scene, verb, client, directive, 2, i)
                              : scene_fail(scene, "no client %s", name.data);
                if (!fine && range.is_range)
                        bytes_append_format(&scene->failure, "(client %s)\n", name.data);
        }
        bytes_deinit(&range.name);
        return fine;
}

/* "client NAME …": the name becomes one name after the other. */
static bool act_of_arrival(struct scene *scene, const struct directive *directive) {
        const struct verb *verb = verb_find(verb_scene_table, "client");
        struct name_range range = {};
        bool fine;

        fine = act_fits(scene, verb, directive, 1) &&
               (name_range_read(&range, &directive->words[1]) ||
                scene_fail(scene, "a client's name begins with a capital letter"));
        for (unsigned i = range.first; fine && i <= range.last; i++) {
                struct bytes words[4] = { directive->words[0] };
                struct directive single = { directive->line, directive->n_words, words };

                for (size_t j = 2; j < directive->n_words; j++)
                        words[j] = directive->words[j];
                name_range_format(&range, i, &words[1]);
                fine = act_once(scene, verb, NULL, &single, 1, i);
                bytes_deinit(&words[1]);
        }
        bytes_deinit(&range.name);
        return fine;
}

static bool act_of_server(struct scene *scene, const struct directive *directive) {
        const struct verb *verb = NULL;

        if (directive->n_words > 1)
                verb = verb_find(verb_server_table, bytes_text(&directive->words[1]));
        return act_fits(scene, verb, directive, 2) && act_once(scene, verb, NULL, directive, 2, 0);
}

static bool act_of_scene(struct scene *scene, const struct directive *directive) {
        const struct verb *verb = verb_find(verb_scene_table, bytes_text(&directive->words[0]));

        return act_fits(scene, verb, directive, 1) && act_once(scene, verb, NULL, directive, 1, 0);
}

static bool play_act(struct scene *scene, const struct directive *directive) {
        const char *subject = bytes_text(&directive->words[0]);

        if (directive->n_words > WORDS_MAX)
                return scene_fail(scene, "too many words");
        if (isupper((unsigned char)*subject))
                return act_of_clients(scene, directive);
        if (strcmp(subject, "client") == 0)
                return act_of_arrival(scene, directive);
        if (strcmp(subject, "server") == 0)
                return act_of_server(scene, directive);
        return act_of_scene(scene, directive);
}

/* Reports. */

static void report_directive(const struct play *play, const struct directive *directive,
                             struct bytes *report) {
        bytes_append_format(report, "%s:%u:", play->script.path, directive->line);
        for (size_t i = 0; i < directive->n_words; i++) {
                const struct bytes *word = &directive->words[i];
                size_t n_shown = word->length > 120 ? 120 : word->length;

                bytes_append_text(report, " ");
                if (word->length && !memmem(word->data, word->length, "\n", 1) && i < 2)
                        bytes_append_text(report, word->data);
                else
                        bytes_append_escaped(report, bytes_text(word), n_shown);
        }
        bytes_append_text(report, "\n");
}

static void report_log(const struct server *server, struct bytes *report) {
        const char *log = bytes_text(&server->log), *at = log + server->log.length;

        for (size_t n_lines = 0; at > log; at--)
                if (at[-1] == '\n' && n_lines++ == LOG_LINES_SHOWN)
                        break;
        bytes_append_format(report, "the log of the server in %s ends:\n%s\n", server->directory,
                            at);
}

static void play_report(const struct play *play, const struct directive *directive,
                        struct bytes *report) {
        const struct scene *scene = &play->scene;

        if (directive)
                report_directive(play, directive, report);
        if (scene->cut_offset)
                bytes_append_format(report, "(what %s sent was cut after byte %llu)\n",
                                    bytes_text(&scene->cut_client),
                                    (unsigned long long)scene->cut_offset);
        bytes_append_text(report, bytes_text(&scene->failure));
        if (scene->server.directory)
                report_log(&scene->server, report);
}

/* The whole. */

static bool play_settings(struct play *play, struct bytes *report) {
        struct script *script = &play->script;

        for (size_t i = 0; i < script->n_directives; i++) {
                bool is_setting;

                if (!play_set(play, &script->directives[i], &is_setting)) {
                        play_report(play, &script->directives[i], report);
                        return false;
                }
                if (!is_setting)
                        return true;
                play->first_act = i + 1;
        }
        return true;
}

static bool play_conversation(struct play *play, struct bytes *report) {
        for (size_t i = play->first_act; i < play->script.n_directives; i++) {
                if (play_act(&play->scene, &play->script.directives[i]))
                        continue;
                play_report(play, &play->script.directives[i], report);
                return false;
        }
        return true;
}

/* What the client that is to be cut has sent; 0 without one. */
static uint64_t play_cut_length(const struct play *play) {
        const struct client *client;

        if (!play->scene.cut_client.length)
                return 0;
        client = scene_find_client(&play->scene, play->scene.cut_client.data);
        return client ? client->n_sent : 0;
}

/* Once as written; then, if so asked, once more for each place to cut. */
static bool play_conversations(struct play *play, struct bytes *report) {
        uint64_t cut_length;

        if (!play_conversation(play, report))
                return false;
        cut_length = play_cut_length(play);
        while (play->scene.cut_offset + 1 < cut_length) {
                scene_free_clients(&play->scene);
                play->scene.cut_offset++;
                if (!play_conversation(play, report))
                        return false;
        }
        play->scene.cut_offset = 0;
        return true;
}

static enum play_result play_run(struct play *play, struct bytes *report) {
        if (!play_settings(play, report))
                return PLAY_FAILED;
        if (play->skip_reason.length) {
                bytes_append_text(report, play->skip_reason.data);
                return PLAY_SKIPPED;
        }
        if (!scene_start_server(&play->scene)) {
                play_report(play, NULL, report);
                return PLAY_FAILED;
        }
        if (!play_conversations(play, report))
                return PLAY_FAILED;
        if (!scene_stop_server(&play->scene)) {
                play_report(play, NULL, report);
                return PLAY_FAILED;
        }
        return PLAY_PASSED;
}

enum play_result play_scenario(const struct play_options *options, const char *path,
                               struct bytes *report) {
        struct play play = {};
        enum play_result result = PLAY_FAILED;

        scene_init(&play.scene, options->program, options->kind, options->transport);
        if (script_load(&play.script, path, report))
                result = play_run(&play, report);
        scene_deinit(&play.scene, result == PLAY_FAILED);
        script_deinit(&play.script);
        bytes_deinit(&play.skip_reason);
        return result;
}
