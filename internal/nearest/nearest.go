// Package nearest finds what somebody may have meant: the word of a list that a
// misspelt word is nearest to. The command line and the configuration ask it.
package nearest

// To returns the candidate with the fewest edits from word, or "" where none is
// so near that it is likely meant: at most one edit in three letters.
func To(word string, candidates []string) string {
	best, found := len(word)/3+1, ""
	for _, c := range candidates {
		if d := distance(word, c); d <= best && (found == "" || d < best) {
			best, found = d, c
		}
	}
	return found
}

// distance is how many insertions, deletions and substitutions of one octet
// turn a into b (Levenshtein).
func distance(a, b string) int {
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		diagonal := row[0]
		row[0] = i + 1
		for j := range len(b) {
			cost := 1
			if a[i] == b[j] {
				cost = 0
			}
			diagonal, row[j+1] = row[j+1], min(diagonal+cost, row[j]+1, row[j+1]+1)
		}
	}
	return row[len(b)]
}
