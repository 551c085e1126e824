package agent

// matchPattern reports whether all of s fits a pattern in which "*" stands for
// any bytes and "?" for one (ssh_config(5), PATTERNS). Going back to the last
// star alone keeps it in len(s)*len(pattern) steps, whatever the stars.
func matchPattern(s, pattern string) bool {
	i, j := 0, 0
	star, from := -1, 0 // the last star, and what of s it leaves to the rest
	for i < len(s) {
		switch {
		case j < len(pattern) && pattern[j] == '*':
			star, from = j, i
			j++
		case j < len(pattern) && (pattern[j] == '?' || pattern[j] == s[i]):
			i++
			j++
		case star >= 0:
			from++
			i, j = from, star+1
		default:
			return false
		}
	}
	for j < len(pattern) && pattern[j] == '*' {
		j++
	}
	return j == len(pattern)
}
