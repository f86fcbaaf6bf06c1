! Fits Reaction ~ Days + (Days | Subject) to a CSV file whose columns are Reaction, Days, Subject.

! What is used of crossnest/crossnest.h. Handles are opaque pointers.
module crossnest
  use, intrinsic :: iso_c_binding
  implicit none
  interface
    function cn_last_error() bind(c) result(message)
      import; type(c_ptr) :: message
    end function
    integer(c_int32_t) function cn_design_new(n, p, X, design) bind(c)
      import; integer(c_int64_t), value :: n, p; type(c_ptr), value :: X; type(c_ptr) :: design
    end function
    integer(c_int32_t) function cn_design_add_factor(design, codes, levels) bind(c)
      import; type(c_ptr), value :: design, codes; integer(c_int64_t), value :: levels
    end function
    integer(c_int32_t) function cn_design_add_term(design, factor, columns, values, name) bind(c)
      import; type(c_ptr), value :: design; integer(c_int64_t), value :: factor, columns
      type(c_ptr) :: values(*); character(c_char) :: name(*)
    end function
    integer(c_int32_t) function cn_model_new(design, options, model) bind(c)
      import; type(c_ptr), value :: design, options; type(c_ptr) :: model
    end function
    integer(c_int32_t) function cn_response_new(model, y, offset, response) bind(c)
      import; type(c_ptr), value :: model, y, offset; type(c_ptr) :: response
    end function
    integer(c_int32_t) function cn_fit_new(response, options, start, length, fit) bind(c)
      import; type(c_ptr), value :: response, options, start
      integer(c_int64_t), value :: length; type(c_ptr) :: fit
    end function
    integer(c_int32_t) function cn_fit_get_double(fit, name, number) bind(c)
      import; type(c_ptr), value :: fit; character(c_char) :: name(*); real(c_double) :: number
    end function
    integer(c_int32_t) function cn_fit_get_array(fit, name, values, length) bind(c)
      import; type(c_ptr), value :: fit; character(c_char) :: name(*); real(c_double) :: values(*)
      integer(c_int64_t), value :: length
    end function
    function cn_fit_message(fit) bind(c) result(message)
      import; type(c_ptr), value :: fit; type(c_ptr) :: message
    end function
    integer(c_int32_t) function cn_fit_contrast(fit, weights, length, estimate, error, df) bind(c)
      import; type(c_ptr), value :: fit; real(c_double) :: weights(*), estimate, error, df
      integer(c_int64_t), value :: length
    end function
    subroutine cn_fit_free(fit) bind(c); import; type(c_ptr), value :: fit; end subroutine
    subroutine cn_response_free(one) bind(c); import; type(c_ptr), value :: one; end subroutine
    subroutine cn_model_free(model) bind(c); import; type(c_ptr), value :: model; end subroutine
    subroutine cn_design_free(design) bind(c); import; type(c_ptr), value :: design; end subroutine
  end interface
contains
  function text(pointer)  ! a string of C's
    type(c_ptr), intent(in) :: pointer
    character(:), allocatable :: text
    character(c_char), pointer :: letters(:)
    integer :: i
    call c_f_pointer(pointer, letters, [1000])
    i = findloc(letters, c_null_char, dim=1) - 1
    text = transfer(letters(:i), repeat(' ', i))
  end function
  subroutine check(code)  ! ends the program where a call failed
    integer(c_int32_t), intent(in) :: code
    if (code /= 0) error stop 'crossnest: ' // text(cn_last_error())
  end subroutine
end module

program sleepstudy
  use crossnest
  implicit none
  integer, parameter :: long = c_int64_t
  real(c_double), allocatable, target :: X(:, :), y(:)
  integer(c_int32_t), allocatable, target :: subject(:)
  real(c_double) :: theta(3), criterion, sigma, estimate, error, df
  integer :: n, i, j, status
  character(256) :: path
  character(32) :: label, names(2) = [character(32) :: '(Intercept)', 'Days']
  character(32), allocatable :: labels(:)
  type(c_ptr) :: design, model, response, fit, columns(2)

  call get_command_argument(1, path)
  open(unit=1, file=path, status='old', action='read')
  status = 0
  n = -2  ! neither the line of names nor the end of the file
  do while (.not. is_iostat_end(status))
    read(1, *, iostat=status)
    n = n + 1
  end do
  rewind(1)
  read(1, *)
  allocate(X(n, 2), y(n), subject(n))
  X(:, 1) = 1  ! an intercept; the second column is Days
  labels = [character(32) ::]
  do i = 1, n
    read(1, *) y(i), X(i, 2), label
    j = findloc(labels, label, dim=1)
    if (j == 0) labels = [labels, label]
    subject(i) = merge(size(labels), j, j == 0) - 1  ! counted from 0
  end do

  ! The library only points at these arrays, which must live as long as the model.
  call check(cn_design_new(int(n, long), 2_long, c_loc(X), design))
  call check(cn_design_add_factor(design, c_loc(subject), size(labels, kind=long)))
  columns = [c_null_ptr, c_loc(X(1, 2))]  ! (Days | Subject): an intercept (null) and a slope
  call check(cn_design_add_term(design, 0_long, 2_long, columns, 'unstructured' // c_null_char))
  call check(cn_model_new(design, c_null_ptr, model))
  call check(cn_response_new(model, c_loc(y), c_null_ptr, response))
  call check(cn_fit_new(response, c_null_ptr, c_null_ptr, 0_long, fit))

  call check(cn_fit_get_double(fit, 'objective' // c_null_char, criterion))
  call check(cn_fit_get_double(fit, 'sigma' // c_null_char, sigma))
  call check(cn_fit_get_array(fit, 'theta' // c_null_char, theta, 3_long))
  print '(a, f0.3, 2a)', 'REML criterion ', criterion, ': ', text(cn_fit_message(fit))
  print '(a, f0.4, a, 3f7.4)', 'sigma ', sigma, ', theta', theta
  print '(a12, 2a10, a8, a9)', '', 'Estimate', 'Error', 'df', 't value'
  do j = 1, 2
    call check(cn_fit_contrast(fit, merge(1d0, 0d0, [1, 2] == j), 2_long, estimate, error, df))
    print '(a12, 2f10.4, f8.2, f9.3)', names(j), estimate, error, df, estimate / error
  end do
  call cn_fit_free(fit); call cn_response_free(response)
  call cn_model_free(model); call cn_design_free(design)
end program
