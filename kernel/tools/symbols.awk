# nm -n of the kernel -> assembly of its symbol table (kernel/symbols.h): functions only, sorted by address.
BEGIN { n = 0; offset = 0 }
$2 ~ /^[tT]$/ && $1 ~ /^ffffffff[89a-f]/ && $3 !~ /^\.L/ { sub(/\.lto_priv\.[0-9]+$/, "", $3); address[n] = $1; name[n] = $3; n++ }
END {
    print ".section .rodata.symbols,\"a\"\n.balign 8"
    print ".globl kernel_symbol_count, kernel_symbol_address, kernel_symbol_name, kernel_symbol_text"
    print "kernel_symbol_count: .long " n ", 0"
    print "kernel_symbol_address:"
    for (i = 0; i < n; i++) print ".quad 0x" address[i]
    print "kernel_symbol_name:"
    for (i = 0; i < n; i++) { print ".long " offset; offset += length(name[i]) + 1 }
    print ".long 0\nkernel_symbol_text:"
    for (i = 0; i < n; i++) print ".asciz \"" name[i] "\""
    print ".byte 0\n.section .note.GNU-stack,\"\",@progbits"
}
