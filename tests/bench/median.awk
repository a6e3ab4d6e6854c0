# The median of the values, which are separated by blanks.
function median(values,    list, n, i, j, value) {
        n = split(values, list, " ")
        for (i = 2; i <= n; i++) {
                value = list[i] + 0
                for (j = i - 1; j >= 1 && list[j] + 0 > value; j--)
                        list[j + 1] = list[j]
                list[j + 1] = value
        }
        return n == 0 ? 0 : n % 2 ? list[(n + 1) / 2] : (list[n / 2] + list[n / 2 + 1]) / 2
}
