"""Models that read frozen features: logistic, ridge, k-means, neighbours."""
