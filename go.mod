module github.com/countermand/countermand

go 1.26
