/* Advisories: what sockd tells unasked on the system account (protocol.md 8.6), of who has logged
 * in, who has gone and who was refused.
 *
 * They are made only if somebody listens: otherwise nothing but a number is looked at. In the
 * client's worker, within a batch.
 */
#pragma once

struct client;

void advisory_connect(struct client *client);
void advisory_disconnect(struct client *client, const char *reason);

/* Of who it says to be, which is not proved; never of any secret. */
void advisory_refusal(struct client *client);
