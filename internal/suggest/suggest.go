// Package suggest finds the word that a misspelt word most likely stands for, for
// "did you mean" in errors of the command line, the configuration and the simulator.
package suggest

// For returns the candidate with the fewest edits from word, or "" if every
// candidate needs more than one edit for three letters.
func For(word string, candidates []string) string {
	best, found := len(word)/3+1, ""
	for _, c := range candidates {
		if d := distance(word, c); d <= best && (found == "" || d < best) {
			best, found = d, c
		}
	}
	return found
}

// distance is the number of insertions, deletions and substitutions of one octet
// that turn a into b (Levenshtein).
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
