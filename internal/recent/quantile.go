package recent

import "time"

// Bucket is how many observations a histogram has of at most a time.
type Bucket struct {
	Most  time.Duration // 0: no bound
	Count float64       // up to Most, those of smaller buckets included
}

// Quantile returns the time that a share of the observations did not exceed, linear within its bucket; 0 where
// there are none. The buckets are in order. In the last one, which has no bound, it is the bound before.
func Quantile(share float64, buckets []Bucket) time.Duration {
	if len(buckets) == 0 {
		return 0
	}
	all := buckets[len(buckets)-1].Count
	if all <= 0 {
		return 0
	}
	below, least := 0.0, time.Duration(0)
	for _, b := range buckets {
		if b.Count >= share*all && b.Count > below {
			if b.Most == 0 {
				return least
			}
			return least + time.Duration(float64(b.Most-least)*(share*all-below)/(b.Count-below))
		}
		below, least = b.Count, b.Most
	}
	return least
}
