package control

func controlPath(pipe string) string { return pipe + ".control" }
