"""The same job on other engines. Each script runs in the interpreter that has its engine; ours never imports them."""
