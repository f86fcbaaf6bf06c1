module sleepstudy

go 1.19
