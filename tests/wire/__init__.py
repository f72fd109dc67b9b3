"""What providers put on the wire: a server that plays recordings and checks what it is asked."""
