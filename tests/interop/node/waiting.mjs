/* Waiting for events, until a deadline. */

export const DEADLINE_MS = 20000;

export async function within_deadline(promise, what) {
        let timer;
        const late = new Promise((_, reject) => {
                timer = setTimeout(() => reject(new Error(`no ${what} in time`)), DEADLINE_MS);
        });
        try {
                return await Promise.race([promise, late]);
        } finally {
                clearTimeout(timer);
        }
}

/* A list that grows by events, and tells whoever waits for its length. */
export class Collector {
        items = [];
        #expected = Infinity;
        #reached = () => {};

        add(item) {
                this.items.push(item);
                if (this.items.length >= this.#expected)
                        this.#reached();
        }

        async until(n, what = `${n} items`) {
                if (this.items.length < n)
                        await within_deadline(new Promise((resolve) => {
                                this.#expected = n;
                                this.#reached = resolve;
                        }), what);
                this.#expected = Infinity;
                return this.items;
        }
}
