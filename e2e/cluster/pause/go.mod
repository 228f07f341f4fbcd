// The program of the sandbox image that holds a pod together.
module yagura.dev/e2e/cluster/pause

go 1.26.0
